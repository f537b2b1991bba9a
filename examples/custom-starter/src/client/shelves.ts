import { hash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { idKey, type P2PId } from "@omni/p2p-core/starter";

/** Folders over which the files are spread, so that none grows long: `00` to `ff`. */
export const SHELVES = 256;

/** Where a record lies in the folder: `3f/a94c….json`. Made of a hash, since an id may be no file name, or too long. */
export function fileOf(id: P2PId): string {
  const name = hash("sha256", idKey(id));
  return join(name.slice(0, 2), `${name.slice(2)}.json`);
}

/** Some of the shelves: the first and the last, both inclusive. */
export interface ShelfRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The files on some shelves, in a stable order. Only the names of one shelf are held at a time.
 *
 * @param after only files behind this one: what a cursor points to.
 */
export async function* filesOn(
  folder: string,
  { from, to }: ShelfRange,
  after: string,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for (const shelf of (await namesIn(folder)).filter((name) => isWithin(name, from, to))) {
    if (shelf < after.slice(0, 2)) continue;
    signal.throwIfAborted();
    for (const name of await namesIn(join(folder, shelf))) {
      const file = `${shelf}/${name}`;
      if (name.endsWith(".json") && file > after) yield file;
    }
  }
}

/** Whether a file is on one of these shelves. */
export function isOnShelves(file: string, { from, to }: ShelfRange): boolean {
  return isWithin(file.slice(0, 2), from, to);
}

function isWithin(shelf: string, from: number, to: number): boolean {
  const number = /^[0-9a-f]{2}$/.test(shelf) ? Number.parseInt(shelf, 16) : Number.NaN;
  return number >= from && number <= to;
}

/** The names in a folder, sorted; none when it is not there (any more). */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
