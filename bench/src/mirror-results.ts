import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the figures of mirrors are kept that the page in the documents tells of. */
const MIRRORS_FILE = join(import.meta.dirname, "..", "results", "mirrors.json");

/** What was measured of one direction; times are those of each round, in ms. */
export interface MirrorEntry {
  readonly direction: string;
  readonly date: string;
  readonly commit: string;
  readonly records: number;
  readonly copy: readonly number[];
  /** Of sides that are equal. */
  readonly verify: readonly number[];
  /** Reading each side by the best hand-written loop. Entries of before 2026-11-29 lack it. */
  readonly reads?: { readonly source: readonly number[]; readonly target: readonly number[] };
  /** With 1 % changed, 1 % missing and 1 % extra. */
  readonly mirror: readonly number[];
  /** Right after that, with nothing to do. */
  readonly again: readonly number[];
  /** Medians of the ratios of the rounds. */
  readonly verifyOfCopy: number;
  readonly ofVerify: number;
  readonly ofCopy: number;
  readonly againOfVerify: number;
  /** Of the reading of the slower side. */
  readonly verifyOfRead?: number;
}

/** What was measured of mirrors; nothing when there is no file. */
export function readMirrors(): readonly MirrorEntry[] {
  return existsSync(MIRRORS_FILE) ? (JSON.parse(readFileSync(MIRRORS_FILE, "utf8")) as MirrorEntry[]) : [];
}

/** Keeps them in place of those that were there. */
export function saveMirrors(entries: readonly MirrorEntry[]): void {
  writeFileSync(MIRRORS_FILE, `${JSON.stringify(entries, null, 2)}\n`);
}
