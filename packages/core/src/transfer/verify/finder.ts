/** Finds the differing records in the buckets that differ. */
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { scratchFolder } from "../durable/scratch-folder.ts";
import { BucketDigests } from "./buckets.ts";
import type { FieldDifference } from "./fields.ts";

/** One record that is not the same on both sides, or of which that cannot be said. */
export interface Difference {
  /**
   * `missing` in the target, `extra` in the target, `different` in content; `failed`: missing or different, and the transfer had
   * said so; `unreadable`: a side has it, but it could not be read; `unsettled`: of a live comparison, it went on changing.
   */
  readonly kind: "missing" | "extra" | "different" | "failed" | "unreadable" | "unsettled";
  /** The record's canonical id. */
  readonly id: string;
  /** Of one that is `different`, what differs: the first ten fields. Of the first 100 such differences. */
  readonly fields?: readonly FieldDifference[];
  /** How many fields differ beyond those. */
  readonly moreFields?: number;
  /** Of one that is `unreadable`, on which side. */
  readonly side?: "source" | "target";
  /** Of one that is `unreadable`, why. */
  readonly reason?: string;
  /** How often the id is there on each side, where that is more than once. */
  readonly occurrences?: { readonly source: number; readonly target: number };
}

/** A difference, with the hashes by which its two records are found again. */
export interface FoundDifference extends Omit<Difference, "kind"> {
  readonly kind: Exclude<Difference["kind"], "unsettled">;
  readonly contents?: readonly [source: string, target: string];
  /** Of one that is `extra`, the hash of its record. */
  readonly content?: string;
}

/** Takes all differences, however many there are. */
export interface DifferenceSink {
  /** Begins; what was taken before counts no more. */
  begin(): Promise<void>;
  add(differences: readonly FoundDifference[]): Promise<void>;
}

/** What was found in the buckets that differ. */
export interface Findings {
  missing: number;
  extra: number;
  different: number;
  failed: number;
  unreadable: number;
  /** Records beyond the first of their id, on each side. */
  readonly repeated: { source: number; target: number };
  differences: FoundDifference[];
}

/** What a line of the files says of an id. */
const KINDS = ["source", "target", "beside", "failed", "unreadable-source", "unreadable-target"] as const;

/**
 * Of which kind a note is: a record of the source, or of the target; `beside`: one of the target that the query does not
 * want, unless the source has it; an id that failed in the transfer; an id that a side could not read.
 */
export type NoteKind = (typeof KINDS)[number];

/** What is noted of an id. */
export interface Note {
  readonly kind: NoteKind;
  readonly key: string;
  /** The bucket of the id. */
  readonly bucket: number;
  /** The hash of the content, or why there is none. */
  readonly text: string;
  /** Kept whatever bucket it falls into. */
  readonly always?: boolean;
}

/** What counts as a difference, and is listed. */
interface Rules {
  readonly listed: number;
  /** Whether so many of each kind are listed, or of all kinds together. */
  readonly ofEachKind: boolean;
  /** Whether what only the target has is listed. */
  readonly listExtra: boolean;
  /** Whether of several records of one id in the source the last counts. */
  readonly lastOfId: boolean;
  readonly sink?: DifferenceSink | undefined;
}

/** Records compared in memory at a time. */
const RECORDS_PER_PART = 100_000;

/** Most files open at a time. */
const MAX_PARTS = 256;

/** Finds the differing records of some buckets: a hash join through files in the temporary folder. */
export class DifferenceFinder {
  readonly #buckets: ReadonlySet<number>;
  readonly #folder: string;
  readonly #files: readonly FileHandle[];

  private constructor(buckets: ReadonlySet<number>, folder: string, files: readonly FileHandle[]) {
    this.#buckets = buckets;
    this.#folder = folder;
    this.#files = files;
  }

  /** @param records how many there are on both sides together. */
  static async open(buckets: ReadonlySet<number>, records: number): Promise<DifferenceFinder> {
    const folder = await scratchFolder("verify");
    const expected = records * BucketDigests.shareOf(buckets);
    const parts = Math.min(MAX_PARTS, Math.max(1, Math.ceil(expected / RECORDS_PER_PART)));
    const files = await Promise.all(
      Array.from({ length: parts }, (_, part) => open(join(folder, String(part)), "w+", 0o600)),
    );
    return new DifferenceFinder(buckets, folder, files);
  }

  /** Whether a note of this id is kept: it falls into the buckets. */
  wants(bucket: number): boolean {
    return this.#buckets.has(bucket);
  }

  /** Keeps the notes that fall into the buckets. */
  async add(notes: readonly Note[]): Promise<void> {
    const lines = this.#files.map((): string[] => []);
    for (const { kind, key, bucket, text, always } of notes) {
      if (!always && !this.#buckets.has(bucket)) continue;
      lines[bucket % lines.length]!.push(`${JSON.stringify([KINDS.indexOf(kind), key, text])}\n`);
    }
    await Promise.all(lines.map(async (list, part) => list.length > 0 && this.#files[part]!.appendFile(list.join(""))));
  }

  /** The differences found, counted all and listed up to a number. */
  async findings({ listed, ofEachKind, listExtra, lastOfId, sink }: Rules): Promise<Findings> {
    await sink?.begin();
    const found: Findings = {
      ...{ missing: 0, extra: 0, different: 0, failed: 0, unreadable: 0 },
      ...{ repeated: { source: 0, target: 0 }, differences: [] },
    };
    const listing = new Listing(listed, ofEachKind);
    for (const [part] of this.#files.entries()) {
      const all: FoundDifference[] = [];
      for (const [id, notes] of await this.#notesOf(part)) {
        const single = lastOfId && notes.source.length > 1 ? { ...notes, source: lastOr(notes) } : notes;
        for (const difference of compareNotes(id, single, found.repeated)) {
          found[difference.kind]++;
          if (sink) all.push(difference);
          if (difference.kind === "extra" && !listExtra) continue;
          listing.offer(difference);
        }
      }
      if (all.length > 0) await sink?.add(all);
    }
    return { ...found, differences: listing.byId() };
  }

  async #notesOf(part: number): Promise<Map<string, NotesOfId>> {
    const byId = new Map<string, NotesOfId>();
    const lines = (await readFile(join(this.#folder, String(part)), "utf8")).split("\n");
    for (const line of lines) {
      if (line === "") continue;
      const [kind, key, text] = JSON.parse(line) as [number, string, string];
      const notes = byId.get(key) ?? { source: [], target: [], beside: [], failed: [], unread: [] };
      byId.set(key, notes);
      const name = KINDS[kind]!;
      if (name === "unreadable-source") notes.unread.push({ side: "source", reason: text });
      else if (name === "unreadable-target") notes.unread.push({ side: "target", reason: text });
      else notes[name].push(text);
    }
    return byId;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#files.map((file) => file.close()));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The differences that are listed: some of each kind, so that thousands of one do not hide the few of another. */
class Listing {
  readonly #most: number;
  readonly #ofEachKind: boolean;
  readonly #byKind = new Map<Difference["kind"], FoundDifference[]>();

  /** @param ofEachKind whether so many of each kind are listed, and not in all. */
  constructor(most: number, ofEachKind: boolean) {
    this.#most = most;
    this.#ofEachKind = ofEachKind;
  }

  offer(difference: FoundDifference): void {
    const ofKind = this.#byKind.get(difference.kind) ?? [];
    this.#byKind.set(difference.kind, ofKind);
    if (ofKind.length < this.#most) ofKind.push(difference);
  }

  byId(): FoundDifference[] {
    const listed: FoundDifference[] = [];
    // The rarest first: what a kind leaves of its share is for the others.
    const kinds = [...this.#byKind.values()].sort((a, b) => a.length - b.length);
    for (const [at, ofKind] of kinds.entries()) {
      const share = Math.floor((this.#most - listed.length) / (kinds.length - at));
      listed.push(...(this.#ofEachKind ? ofKind : ofKind.slice(0, share)));
    }
    return listed.sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }
}

/** All that is known of one id. */
interface NotesOfId {
  readonly source: string[];
  readonly target: string[];
  readonly beside: string[];
  readonly failed: string[];
  readonly unread: { readonly side: "source" | "target"; readonly reason: string }[];
}

/** Of several records of one id in the source the one that the target has, or else the last. */
function lastOr({ source, target, beside }: NotesOfId): string[] {
  const there = new Set([...target, ...beside]);
  return [source.find((content) => there.has(content)) ?? source.at(-1)!];
}

/** An id may occur several times on a side; every occurrence must find its like on the other. */
function* compareNotes(id: string, notes: NotesOfId, repeated: Findings["repeated"]): Generator<FoundDifference> {
  const { source, beside, failed, unread } = notes;
  const known = source.length > 0 || unread.length > 0;
  const target = known ? [...notes.target, ...beside] : notes.target;
  repeated.source += Math.max(0, source.length - 1);
  repeated.target += Math.max(0, target.length - 1);
  const [left, right] = withoutCommon(source, target);
  const occurrences =
    source.length > 1 || target.length > 1
      ? { occurrences: { source: source.length, target: target.length } }
      : undefined;
  if (unread.length > 0) {
    // What the other side has of it is neither extra nor missing: nobody can say whether it is the same.
    if (failed.length > 0) yield { kind: "failed", id };
    else for (const { side, reason } of unread) yield { kind: "unreadable", id, side, reason };
    const spare = { source: 0, target: 0 };
    for (const { side } of unread) spare[side === "source" ? "target" : "source"]++;
    left.splice(0, spare.source);
    right.splice(0, spare.target);
  }
  for (let i = 0; i < Math.max(left.length, right.length); i++) {
    const [ours, theirs] = [left[i], right[i]];
    if (ours === undefined) yield { kind: "extra", id, ...occurrences, content: theirs! };
    else if (failed.length > 0) yield { kind: "failed", id, ...occurrences };
    else if (theirs === undefined) yield { kind: "missing", id, ...occurrences };
    else yield { kind: "different", id, ...occurrences, contents: [ours, theirs] };
  }
}

/** Two lists without what both have. */
function withoutCommon(left: readonly string[], right: readonly string[]): [string[], string[]] {
  // Nearly all lists are of one item.
  if (left.length === 1 && right.length === 1) return left[0] === right[0] ? [[], []] : [[...left], [...right]];
  const times = new Map<string, number>();
  for (const item of right) times.set(item, (times.get(item) ?? 0) + 1);
  const take = (item: string) => {
    const rest = times.get(item) ?? 0;
    if (rest > 0) times.set(item, rest - 1);
    return rest > 0;
  };
  const alone = left.filter((item) => !take(item));
  return [alone, right.filter(take)];
}
