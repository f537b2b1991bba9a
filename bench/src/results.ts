import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { DIRECTIONS, directionName } from "./places.ts";
import { SHAPE_NAMES, type ShapeName } from "./shapes.ts";

/** Where the results are kept that the page in the documents tells of. */
export const RESULTS_FILE = join(import.meta.dirname, "..", "results", "results.json");

/** What the figures depend on. */
export interface Machine {
  readonly node: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
}

/** How it grows from `records` to `factor` times as many, each in a fresh process. */
export interface Growth {
  readonly date: string;
  readonly commit: string;
  readonly records: number;
  readonly factor: number;
  /** Time per record, as a multiple. */
  readonly timePerRecord: number;
  readonly peakMb: number;
  readonly peakMbGrown: number;
  /** The best loop with as many, where memory is one of the stores. */
  readonly limit?: { readonly timePerRecord: number; readonly peakMbGrown: number; readonly timerP99: number };
  /** How late a timer of 5 ms was, in ms: the 99th percentile, the worse of both. */
  readonly timerP99: number;
}

/** What was measured of one direction and one shape. */
export interface Entry {
  readonly direction: string;
  readonly shape: ShapeName;
  readonly date: string;
  readonly commit: string;
  /** Where it was measured, if not on the machine of the file. */
  readonly machine?: Machine;
  /** The servers that took part, such as `Redis 7.0.15`. */
  readonly servers: readonly string[];
  readonly records: number;
  /** What each round took, in ms. */
  readonly ours: readonly number[];
  readonly limit: readonly number[];
  readonly elasticdump?: { readonly what: string; readonly ms: readonly number[] };
  /** Records per second of the usual loop, each round, and how far it came. */
  readonly usual: { readonly records: readonly number[]; readonly recordsPerSecond: readonly number[] };
  /** Medians of the ratios of the rounds. */
  readonly ofLimit: number;
  readonly timesUsual: number;
  readonly timesElasticdump?: number;
  readonly recordsPerSecond: number;
  readonly growth?: Growth;
}

/** A file of results. */
export interface Results {
  readonly note: string;
  /** Where all entries were measured that name no other. */
  readonly machine: Machine;
  readonly entries: readonly Entry[];
}

const NOTE =
  "Each entry was measured by itself, with its own date and commit, and replaces an older one of its direction and shape; so the file may come from several sittings. An entry of another machine than the first one names it: ratios compare between machines, rates do not.";

/** The machine that this runs on. */
function thisMachine(): Machine {
  const [cpu] = cpus();
  return {
    node: process.version,
    cpu: cpu?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
  };
}

/** The commit that is measured, with a mark when what is measured differs from it. */
export function thisCommit(): string {
  const git = (...args: string[]) => execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--", "../../packages", ".") !== "";
  return git("rev-parse", "--short", "HEAD") + (changed ? " with changes" : "");
}

/** The results in a file; none when there is no file. */
export function readResults(file: string): Results {
  if (!existsSync(file)) return { note: NOTE, machine: thisMachine(), entries: [] };
  return JSON.parse(readFileSync(file, "utf8")) as Results;
}

/** Whether an entry was measured on the machine that this runs on. */
export function isOfThisMachine(entry: Entry, { machine }: Results): boolean {
  return isSame(entry.machine ?? machine, thisMachine());
}

function isSame(one: Machine, other: Machine): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The entry of a direction and a shape, if it was measured. */
export function entryIn({ entries }: Results, direction: string, shape: ShapeName): Entry | undefined {
  return entries.find((entry) => entry.direction === direction && entry.shape === shape);
}

/** Puts an entry of this machine in the place of the older one, whose growth it takes over when that is of this machine too. */
export function saveEntry(file: string, entry: Entry): void {
  const before = readResults(file);
  const { entries } = before;
  const here = thisMachine();
  const machine = entries.length > 0 ? before.machine : here;
  const older = entryIn(before, entry.direction, entry.shape);
  const growth = entry.growth ?? (older && isOfThisMachine(older, before) ? older.growth : undefined);
  const { machine: _, ...measured } = entry;
  const merged: Entry = { ...measured, ...(!isSame(machine, here) && { machine: here }), ...(growth && { growth }) };
  const results: Results = {
    note: NOTE,
    machine,
    entries: [...entries.filter((kept) => kept !== older), merged].sort(byPlace),
  };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
}

const order = DIRECTIONS.map(({ from, to }) => directionName(from, to));

function byPlace(a: Entry, b: Entry): number {
  const place = ({ direction, shape }: Entry) => SHAPE_NAMES.indexOf(shape) * order.length + order.indexOf(direction);
  return place(a) - place(b);
}
