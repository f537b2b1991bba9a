import { randomUUID } from "node:crypto";
import { link, mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  idKey,
  messageOf,
  P2PError,
  type P2PErrorCode,
  type P2PRecord,
  toJson,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { fileOf } from "./client/shelves.ts";
import type { JsonFilesEndpoint } from "./endpoint.ts";

/** Writes each record into a file of its own, one after the other: a batch may hold the same id twice. */
export async function writeRecords(
  { folder, label, indent }: JsonFilesEndpoint,
  records: readonly P2PRecord[],
  { mode, signal }: WriteOptions,
): Promise<WriteResult> {
  const failures: WriteFailure[] = [];
  let [written, skipped, bytes] = [0, 0, 0];
  for (const [index, record] of records.entries()) {
    signal.throwIfAborted();
    const text = JSON.stringify(toJson(record), null, indent);
    const file = join(folder, fileOf(record.id));
    try {
      if (await place(file, text, mode === "upsert")) {
        written++;
        bytes += text.length;
      } else if (mode === "skip") {
        skipped++;
      } else {
        const error = new P2PError("DUPLICATE_ID", `The id "${idKey(record.id)}" is in ${label} already`);
        failures.push({ index, id: record.id, error });
      }
    } catch (error) {
      // Whatever keeps this file from being written would keep all others from it, too.
      throw writeError(error as NodeJS.ErrnoException, label);
    }
  }
  return { written, skipped, failures, bytes };
}

/** Puts a text into a file as a whole or not at all. Resolves with `false` when it is there and not to be replaced. */
async function place(file: string, text: string, replace: boolean): Promise<boolean> {
  const temporary = `${file}.${randomUUID()}.tmp`;
  try {
    await writeNew(temporary, text);
    if (replace) {
      await rename(temporary, file);
      return true;
    }
    // Unlike a renaming, a link does not replace what is there.
    await link(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  await rm(temporary, { force: true });
  return true;
}

/** Writes a file; its shelf is made when it is the first on it. */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
}

const CODES: Readonly<Record<string, P2PErrorCode>> = {
  ENOSPC: "STORAGE_FULL",
  EDQUOT: "STORAGE_FULL",
  EACCES: "TARGET_NOT_WRITABLE",
  EPERM: "TARGET_NOT_WRITABLE",
  EROFS: "TARGET_NOT_WRITABLE",
  ENOTDIR: "TARGET_NOT_WRITABLE",
};

/** The error of a folder that cannot be written. */
export function writeError(cause: NodeJS.ErrnoException, label: string): P2PError {
  const code = CODES[cause.code ?? ""] ?? "WRITE_FAILED";
  return new P2PError(code, `${label} could not be written: ${messageOf(cause)}`, { cause });
}
