import { isP2PError, messageOf, P2PError, type P2PErrorCode } from "@omni/p2p-core/starter";

/** What was being done when SQLite complained. */
export type Activity = "opened" | "read" | "written";

/** The code of an error of SQLite (`SQLITE_BUSY`, …), or `undefined` when it is none. */
export function sqliteCode(thrown: unknown): string | undefined {
  const code = thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;
  return typeof code === "string" && code.startsWith("SQLITE_") ? code : undefined;
}

/** Whether another process or connection holds the lock that is needed. */
export function isBusy(thrown: unknown): boolean {
  const code = sqliteCode(thrown);
  return code !== undefined && /^SQLITE_(BUSY|LOCKED)/.test(code);
}

/** Whether an error is about the row at hand alone, so that the rest of the batch can still be written. */
export function isRowError(thrown: unknown): boolean {
  const code = sqliteCode(thrown);
  // The driver's own check of what is bound (a text of 1 GB, for instance) is a RangeError.
  if (code === undefined) return thrown instanceof RangeError;
  return code.startsWith("SQLITE_CONSTRAINT") || code === "SQLITE_MISMATCH" || code === "SQLITE_TOOBIG";
}

/** Whether a transaction was refused at its end, by a foreign key that is checked only there. */
export function isDeferredConstraint(thrown: unknown): thrown is P2PError {
  return isP2PError(thrown) && sqliteCode(thrown.cause) === "SQLITE_CONSTRAINT_FOREIGNKEY";
}

/** What to do about a record whose foreign key leads nowhere. */
export const FOREIGN_KEY_ADVICE =
  "copy the table that it refers to first, or put the check off by the option foreignKeys (deferred: to the end of each batch, off: altogether)";

/** The one place where SQLite's codes become the library's. */
export function sqliteError(thrown: unknown, label: string, activity: Activity): P2PError {
  if (isP2PError(thrown)) return thrown;
  const { code, advice, retryable } = classify(sqliteCode(thrown) ?? "", messageOf(thrown), activity);
  const message = `${label} could not be ${activity}: ${messageOf(thrown)}. ${advice}`;
  return new P2PError(code, message, { cause: thrown, retryable });
}

interface Verdict {
  readonly code: P2PErrorCode;
  readonly advice: string;
  readonly retryable: boolean;
}

function classify(code: string, message: string, activity: Activity): Verdict {
  const failed: P2PErrorCode =
    activity === "opened" ? "CONNECTION_FAILED" : activity === "read" ? "READ_FAILED" : "WRITE_FAILED";
  const verdict = (known: P2PErrorCode, advice: string, retryable = false): Verdict => ({
    code: known,
    advice,
    retryable,
  });
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) {
    return verdict("BUSY", "Another process holds its lock; wait until it is done, or close what uses the file", true);
  }
  if (code === "SQLITE_FULL") {
    return verdict("STORAGE_FULL", "The disk has no room left; make some, and run the transfer again");
  }
  if (activity !== "written" && /^SQLITE_READONLY_(DIRECTORY|CANTINIT|CANTLOCK)$/.test(code)) {
    return verdict(
      failed,
      "It is in WAL mode, in which a reader too must be able to make files beside it: allow that in its folder, copy the file " +
        "into one where it is, or let a program that may write it set PRAGMA journal_mode = delete",
    );
  }
  if (activity !== "written" && /^SQLITE_READONLY_(ROLLBACK|RECOVERY)$/.test(code)) {
    return verdict(
      failed,
      "A program that wrote it was killed and left a journal, which must be played back first: " +
        "open the file once with a program that may write, or as a target",
    );
  }
  if (code.startsWith("SQLITE_READONLY")) {
    return verdict(
      activity === "written" ? "TARGET_NOT_WRITABLE" : failed,
      "Check the permissions of the file and of its folder",
    );
  }
  if (code === "SQLITE_NOTADB") {
    return verdict(
      activity === "read" ? "READ_FAILED" : activity === "opened" ? "CONNECTION_FAILED" : "TARGET_NOT_WRITABLE",
      "Check that the path is that of an SQLite database (an encrypted one cannot be used)",
    );
  }
  if (code.startsWith("SQLITE_CORRUPT")) return verdict(failed, "The file is damaged; see PRAGMA integrity_check");
  if (code.startsWith("SQLITE_CANTOPEN")) {
    return verdict(
      failed,
      "Check the path, and the permissions of its folder, in which a database in WAL mode must be able to make files " +
        "even when it is only read: allow that, copy the file elsewhere, or let a program that may write it set PRAGMA journal_mode = delete",
    );
  }
  if (code.startsWith("SQLITE_IOERR")) return verdict(failed, "Check the disk and the file system");
  if (code === "SQLITE_ERROR" && activity === "read" && /^no such (table|view)/.test(message)) {
    return verdict("SOURCE_NOT_FOUND", "Name another table by the option table");
  }
  if (/^no such collation sequence/.test(message)) {
    return verdict(
      failed,
      "Only the program that made the file has this collation; let that program export the table, or copy it there into one without",
    );
  }
  if (/^no such module/.test(message)) {
    return verdict(failed, "Only a program with this module can read the table; name another one by the option table");
  }
  return verdict(failed, "Check the schema of the database, and the query");
}
