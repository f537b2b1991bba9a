import { unlink } from "node:fs/promises";
import { join } from "node:path";
import { type DeleteRef, type DeleteResult, P2PError, recordDigest, type WriteFailure } from "@omni/p2p-core/starter";
import { isMissing, readRecordFile } from "../client/record-file.ts";
import { fileOf } from "../client/shelves.ts";
import type { JsonFilesEndpoint } from "../endpoint.ts";
import { AT_A_TIME } from "../reading/look-up.ts";
import { writeError } from "../write.ts";

/** What became of one file. */
type Fate = "deleted" | "absent" | "changed" | P2PError;

/** Deletes the files of some ids, each of them where it holds what is expected. */
export async function deleteRecords(
  { folder, label }: JsonFilesEndpoint,
  refs: readonly DeleteRef[],
  signal: AbortSignal,
): Promise<DeleteResult> {
  const fates: Fate[] = [];
  for (let start = 0; start < refs.length; start += AT_A_TIME) {
    signal.throwIfAborted();
    const batch = refs.slice(start, start + AT_A_TIME).map((ref) => deleteFile(folder, ref));
    // Whatever keeps this file from being deleted would keep all others from it, too.
    const settled = await Promise.all(batch).catch((error: NodeJS.ErrnoException) => {
      throw writeError(error, label);
    });
    fates.push(...settled);
  }
  const failures: WriteFailure[] = [];
  const changed: number[] = [];
  for (const [index, fate] of fates.entries()) {
    if (fate instanceof P2PError) failures.push({ index, id: refs[index]!.id, error: fate });
    else if (fate === "changed") changed.push(index);
  }
  const count = (wanted: Fate): number => fates.filter((fate) => fate === wanted).length;
  return { deleted: count("deleted"), absent: count("absent"), changed, failures };
}

async function deleteFile(folder: string, { id, expected }: DeleteRef): Promise<Fate> {
  const name = fileOf(id);
  const path = join(folder, name);
  if (expected !== undefined) {
    const file = await readRecordFile(path, name);
    if (file === undefined) return "absent";
    if (file.record instanceof P2PError) return file.record;
    // A file system has no way to delete a file as it was read; a writer may come between.
    if (recordDigest(file.record) !== expected) return "changed";
  }
  try {
    await unlink(path);
    return "deleted";
  } catch (error) {
    if (isMissing(error)) return "absent";
    throw error;
  }
}
