import { readFile } from "node:fs/promises";
import { decodeJson, messageOf, P2PError, type P2PRecord, recordTrouble } from "@omni/p2p-core/starter";

/** What is in a file: a record or why there is none, and its size. `undefined` when there is no such file (any more). */
export type RecordFile = { readonly record: P2PRecord | P2PError; readonly size: number } | undefined;

/** Reads the record in a file. `name` is what messages call it. */
export async function readRecordFile(path: string, name: string): Promise<RecordFile> {
  const text = await textOf(path);
  return text === undefined ? undefined : { record: parseRecord(text, name), size: text.length };
}

function parseRecord(text: string, name: string): P2PRecord | P2PError {
  let trouble: string | undefined;
  try {
    const value: unknown = decodeJson(text);
    trouble = recordTrouble(value);
    if (trouble === undefined) return value as P2PRecord;
  } catch (error) {
    trouble = messageOf(error);
  }
  return new P2PError("READ_FAILED", `The file ${name} holds no record: ${trouble}`);
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether an error says that a file or folder is not there. */
export function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}
