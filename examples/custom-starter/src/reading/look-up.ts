import { stat } from "node:fs/promises";
import { join } from "node:path";
import {
  assertAskableById,
  type IdRef,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PQuery,
  projectRecord,
} from "@omni/p2p-core/starter";
import { isMissing, readRecordFile } from "../client/record-file.ts";
import { fileOf, isOnShelves } from "../client/shelves.ts";
import { parseFilesQuery } from "../read.ts";

/** Files that are opened at a time. */
export const AT_A_TIME = 64;

/** What each id is to the query, in the order of the ids. A file is found by the hash of its id, so nothing is searched. */
export async function lookUpRecords(
  folder: string,
  refs: readonly IdRef[],
  query: P2PQuery,
  signal: AbortSignal,
): Promise<LookUpOutcome[]> {
  const parsed = parseFilesQuery(query);
  assertAskableById(parsed);
  const { conditions, fields, range } = parsed;
  const outcomes: LookUpOutcome[] = [];
  for (let start = 0; start < refs.length; start += AT_A_TIME) {
    signal.throwIfAborted();
    const batch = refs.slice(start, start + AT_A_TIME).map(async ({ id }): Promise<LookUpOutcome> => {
      const name = fileOf(id);
      const file = await readRecordFile(join(folder, name), name);
      if (file === undefined) return { state: "absent" };
      const { record } = file;
      if (record instanceof P2PError) return { state: "failed", error: record };
      if (!isOnShelves(name, range) || !matches(conditions, record)) return { state: "unwanted" };
      return { state: "wanted", record: projectRecord(record, fields) };
    });
    outcomes.push(...(await Promise.all(batch)));
  }
  signal.throwIfAborted();
  // A file that is not there is no word on its record when the whole folder is gone.
  if (outcomes.some(({ state }) => state === "absent")) await assertStillThere(folder);
  return outcomes;
}

async function assertStillThere(folder: string): Promise<void> {
  try {
    await stat(folder);
  } catch (cause) {
    if (!isMissing(cause)) throw cause;
    throw new P2PError("SOURCE_NOT_FOUND", `The folder ${folder} was removed; nothing can be looked up in it`, {
      cause,
    });
  }
}
