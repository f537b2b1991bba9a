import { idKey, type P2PRecord } from "../../model/record.ts";
import { estimateBytes } from "../../model/size.ts";
import type { P2PQuery } from "../../storage/query.ts";
import { fieldDifferences } from "./fields.ts";
import type { FoundDifference } from "./finder.ts";
import { readSide, type Side } from "./read.ts";

/** Differing records whose fields are compared. */
const DETAILED = 100;

/** Bytes of records that are held for it, roughly. A record beyond is told without its fields. */
const MAX_BYTES = 32 * 1024 * 1024;

/** What tells the record that was compared from others of its id. */
export type ContentOf = (record: P2PRecord) => { readonly record: P2PRecord; readonly content: string };

/**
 * Adds to the differences in what their records differ: both are read once more, by their ids where the store can be asked
 * for these, else among all others.
 */
export async function withFields(
  found: readonly FoundDifference[],
  source: Side,
  target: Side,
  contentOf: ContentOf,
): Promise<FoundDifference[]> {
  const wanted = found.filter(({ contents }) => contents).slice(0, DETAILED);
  const held = { bytes: 0 };
  const ours = new Wanted(wanted, 0, contentOf, held);
  const theirs = new Wanted(wanted, 1, contentOf, held);
  for (const [side, records] of [
    [source, ours],
    [target, theirs],
  ] as const) {
    await lookUp(side, records);
    if (!records.complete) await lookThrough(side, records);
  }
  return found.map(({ contents, content: _, ...difference }) => {
    const left = contents && ours.get(difference.id, contents[0]);
    const right = contents && theirs.get(difference.id, contents[1]);
    if (!left || !right) return difference;
    const { fields, more } = fieldDifferences(left, right);
    return { ...difference, fields, ...(more > 0 && { moreFields: more }) };
  });
}

/** The records of one side that are looked for. */
class Wanted {
  readonly #missing = new Map<string, Set<string>>();
  readonly #records = new Map<string, P2PRecord>();
  readonly #contentOf: ContentOf;
  readonly #held: { bytes: number };

  constructor(found: readonly FoundDifference[], side: 0 | 1, contentOf: ContentOf, held: { bytes: number }) {
    this.#contentOf = contentOf;
    this.#held = held;
    for (const { id, contents } of found) {
      const contentsOfId = this.#missing.get(id) ?? new Set();
      this.#missing.set(id, contentsOfId.add(contents![side]));
    }
  }

  get ids(): string[] {
    return [...this.#missing.keys()];
  }

  get complete(): boolean {
    return this.#missing.size === 0;
  }

  get(id: string, content: string): P2PRecord | undefined {
    return this.#records.get(`${content}${id}`);
  }

  offer(given: P2PRecord): void {
    const id = idKey(given.id);
    const contents = this.#missing.get(id);
    if (!contents) return;
    const { record, content } = this.#contentOf(given);
    if (!contents.delete(content)) return;
    if (contents.size === 0) this.#missing.delete(id);
    const bytes = estimateBytes(record);
    if (this.#held.bytes + bytes > MAX_BYTES) return;
    this.#held.bytes += bytes;
    this.#records.set(`${content}${id}`, record);
  }
}

async function lookUp(side: Side, wanted: Wanted): Promise<void> {
  const query = queryById(side, wanted.ids);
  if (!query) return;
  try {
    await lookThrough({ ...side, query }, wanted);
  } catch {
    // A store that cannot be asked so is read through.
    side.signal.throwIfAborted();
  }
}

/** `undefined` where ids say nothing about what to read: a transform may make others, and a query may ask for ids itself. */
function queryById({ query, transform }: Side, ids: readonly string[]): P2PQuery | undefined {
  if (transform || ids.length === 0 || query.native !== undefined || query.where?.id !== undefined) return undefined;
  const { limit: _, offset: __, orderBy: ___, ...rest } = query;
  return { ...rest, where: { ...query.where, id: { in: ids } } };
}

async function lookThrough(side: Side, wanted: Wanted): Promise<void> {
  if (wanted.complete) return;
  for await (const { records } of readSide(side)) {
    for (const record of records) wanted.offer(record);
    if (wanted.complete) return;
  }
}
