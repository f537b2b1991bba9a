import { constants } from "node:fs";
import { access, lstat, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, type OpenContext, P2PError } from "@omni/p2p-core/starter";
import type { Database } from "better-sqlite3";
import type { SqliteEndpoint } from "../endpoint.ts";
import { sqliteCode, sqliteError } from "./errors.ts";
import { isHeld, takeHeld } from "./held-files.ts";
import { inodeOf, inodeText, SqliteStore } from "./store.ts";

/** Opens the file of an endpoint and makes sure that it is a database, and of a target that it can be written. */
export async function openStore(endpoint: SqliteEndpoint, context: OpenContext): Promise<SqliteStore> {
  const { role, signal, connectTimeoutMs } = context;
  signal.throwIfAborted();
  const readOnly = role === "source";
  const existed = readOnly ? await assertSource(endpoint) : await assertTarget(endpoint);
  const kept = takeHeld(endpoint.file, readOnly, inodeOf(endpoint.file));
  const db = kept ?? (await openFile(endpoint, readOnly));
  let inode: string | undefined;
  try {
    inode = inodeOf(endpoint.file);
    const store = new SqliteStore(db, endpoint, { patienceMs: connectTimeoutMs, readOnly, inode, made: !existed });
    await store.patiently("opened", signal, () => {
      if (readOnly) store.schemaVersion();
      else db.exec("BEGIN IMMEDIATE; ROLLBACK");
    });
    return store;
  } catch (error) {
    db.close();
    await dropIfEmpty({ endpoint, inode, made: !existed });
    throw readOnly ? error : asTargetError(error, endpoint);
  }
}

/**
 * Opens the file of a target once more, for another thread.
 *
 * @param inode the file that is open already.
 * @throws P2PError `CONNECTION_LOST` when the path leads to another one by now.
 */
export async function openAgain(
  endpoint: SqliteEndpoint,
  patienceMs: number,
  inode: string | undefined,
): Promise<SqliteStore> {
  const db = await openFile(endpoint, false, true);
  const store = new SqliteStore(db, endpoint, { patienceMs, readOnly: false, inode });
  try {
    store.assertSameFile();
    return store;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Opens the file of an endpoint once more for reading alone, in another process.
 *
 * @param inode the file that is open already.
 * @throws P2PError `CONNECTION_LOST` when the path leads to another one by now.
 */
export async function openReader(
  endpoint: SqliteEndpoint,
  patienceMs: number,
  inode: string | undefined,
): Promise<SqliteStore> {
  const db = await openFile(endpoint, true);
  const store = new SqliteStore(db, endpoint, { patienceMs, readOnly: true, inode });
  try {
    db.pragma("cell_size_check = ON");
    store.assertSameFile();
    return store;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** An empty database in memory, for an endpoint whose own file is left alone. */
export async function openInMemory(endpoint: SqliteEndpoint): Promise<SqliteStore> {
  const SqliteDatabase = await loadDriver();
  const db = new SqliteDatabase(":memory:");
  return new SqliteStore(db, endpoint, { patienceMs: 0, readOnly: true, inode: undefined });
}

async function assertSource({ file, label }: SqliteEndpoint): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile()) return true;
  throw new P2PError(
    "SOURCE_NOT_FOUND",
    found === undefined
      ? `There is no file ${file} (${label}); check the path, which is relative to the working directory`
      : `${file} (${label}) is ${found.isDirectory() ? "a folder" : "not a regular file"}, not an SQLite database`,
  );
}

/** Whether the file of the target is there already. */
export async function assertTarget({ file, label }: SqliteEndpoint): Promise<boolean> {
  const refuse = (why: string) => new P2PError("TARGET_NOT_WRITABLE", `${label} cannot be written: ${why}`);
  const folder = dirname(file);
  const place = await stat(folder).catch(() => undefined);
  if (place === undefined) throw refuse(`the folder ${folder} does not exist; create it first`);
  if (!place.isDirectory()) throw refuse(`${folder} is not a folder`);
  const found = await stat(file).catch(() => undefined);
  if (found?.isDirectory()) throw refuse(`${file} is a folder; give the path of a file`);
  if (found !== undefined && !found.isFile()) throw refuse(`${file} is not a regular file`);
  const writable = (path: string) =>
    access(path, constants.W_OK).then(
      () => true,
      () => false,
    );
  if (found !== undefined && !(await writable(file))) {
    throw refuse(`${file} is read-only; change its permissions or give another path`);
  }
  // A journal stands beside the file while it is written.
  if (!(await writable(folder))) throw refuse(`no files can be made in the folder ${folder}`);
  return found !== undefined;
}

async function openFile(endpoint: SqliteEndpoint, readOnly: boolean, mustExist = readOnly): Promise<Database> {
  const SqliteDatabase = await loadDriver();
  try {
    // Locks are waited for in SqliteStore.patiently: the driver's own waiting would stop the whole process.
    const db = new SqliteDatabase(endpoint.file, { readonly: readOnly, fileMustExist: mustExist, timeout: 0 });
    // What a file brings along (views, triggers, defaults) may call no function that does more than compute.
    db.pragma("trusted_schema = OFF");
    return db;
  } catch (error) {
    throw readOnly
      ? sqliteError(error, endpoint.label, "opened")
      : asTargetError(sqliteError(error, endpoint.label, "opened"), endpoint);
  }
}

async function loadDriver(): Promise<typeof import("better-sqlite3")> {
  try {
    return (await import("better-sqlite3")).default;
  } catch (error) {
    throw new P2PError(
      "CONNECTION_FAILED",
      "The package better-sqlite3 could not be loaded; install it again for this machine (npm rebuild better-sqlite3)",
      { cause: error },
    );
  }
}

/** A target that cannot be used says so in the target's own code. */
function asTargetError(error: unknown, { label }: SqliteEndpoint): unknown {
  const code = error instanceof P2PError ? sqliteCode(error.cause) : undefined;
  if (code === "SQLITE_NOTADB") {
    return new P2PError(
      "TARGET_NOT_WRITABLE",
      `${label} cannot be written: the file is there and is not an SQLite database; give another path`,
      { cause: (error as P2PError).cause },
    );
  }
  if (code?.startsWith("SQLITE_CANTOPEN") || code?.startsWith("SQLITE_READONLY")) {
    return new P2PError(
      "TARGET_NOT_WRITABLE",
      `${label} cannot be written: ${messageOf((error as P2PError).cause)}; check the permissions of the file and of its folder`,
      { cause: (error as P2PError).cause },
    );
  }
  return error;
}

/**
 * Removes a file that was made by opening it, if nothing came of it; never one that was there before, nor another that has its path by
 * now, nor a link to it. While it is held others may be about to write it.
 */
export async function dropIfEmpty({
  endpoint: { file },
  inode,
  made,
}: Pick<SqliteStore, "endpoint" | "inode" | "made">): Promise<void> {
  if (!made || isHeld(file)) return;
  const found = await lstat(file, { bigint: true }).catch(() => undefined);
  if (found?.isFile() && found.size === 0n && inodeText(found) === inode && !isHeld(file)) {
    await unlink(file).catch(() => {});
  }
}
