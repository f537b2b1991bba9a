import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  type JsonValue,
  P2PError,
  recordDigest,
  unlessAborted,
  type WriteFailure,
} from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import { mongodbError, recordError } from "../client/errors.ts";
import type { OpenCollection } from "../query/open-collection.ts";
import { idForm } from "../values/id-form.ts";
import { locatorFilter } from "../values/locator.ts";
import { bulkWrite, type Item, type Outcome, type Refusal } from "./bulk.ts";
import { fieldGuard, wholeGuard } from "./guard.ts";

/** Documents that are compared in one command at most. */
const MOST_COMPARED = 1000;
/** Bytes of documents that are compared in one command, about. */
const MOST_COMPARED_BYTES = 8 * 1024 * 1024;
/** Documents that are named in one delete of FerretDB, each of which it compares with all of them. */
const MOST_ALTERNATIVES = 500;

/** An id to delete. */
interface DeleteItem extends Item {
  /** The `_id`, as writing gives it to the driver. */
  readonly _id: unknown;
  readonly locator: JsonValue | undefined;
  readonly expected: string | undefined;
}

/** One that is as it is expected to be, with what says so to the server. */
interface GuardedItem extends DeleteItem {
  readonly guard: Document;
}

/** What has become of the refs so far. */
interface Tally {
  deleted: number;
  readonly changed: number[];
  readonly failures: WriteFailure[];
}

/**
 * Deletes by id, in unordered bulk writes. What is deleted is what an upsert would replace: the document with just that `_id`, to
 * which numbers of one size are one, and 1 and "1" are two. Where a digest is expected it is a compare-and-delete: the document
 * is read and compared here, and the server deletes it only while it is still the same.
 */
export async function deleteRecords(
  opened: OpenCollection,
  refs: readonly DeleteRef[],
  { signal }: DeleteOptions,
): Promise<DeleteResult> {
  signal.throwIfAborted();
  if (!opened.deletable) {
    throw new P2PError(
      "TARGET_NOT_WRITABLE",
      `Cannot delete from ${opened.label}: the collection is a view or a time series, whose documents have no id of their own to go by`,
    );
  }
  const items = refs.map(
    ({ id, locator, expected }, index): DeleteItem => ({ index, id, _id: opened.encoder.id(id), locator, expected }),
  );
  const tally: Tally = { deleted: 0, changed: [], failures: [] };
  try {
    // Text may stand for others by the rules of a language, which no upsert would replace.
    const those = opened.collated ? await present(opened, items, signal) : items;
    await deletePlain(
      opened,
      those.filter(({ expected }) => expected === undefined),
      tally,
      signal,
    );
    await deleteExpected(
      opened,
      those.filter(({ expected }) => expected !== undefined),
      tally,
      signal,
    );
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "write", opened.label);
  }
  const { changed, failures } = tally;
  // One that was deleted and came back at once is among those that stayed.
  const deleted = Math.min(tally.deleted, refs.length - changed.length - failures.length);
  return {
    deleted,
    absent: refs.length - deleted - changed.length - failures.length,
    changed: changed.sort((a, b) => a - b),
    failures: failures.sort((a, b) => a.index - b.index),
  };
}

async function deletePlain(
  opened: OpenCollection,
  items: readonly DeleteItem[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const toOperation = (item: DeleteItem) => {
    const filter: Document = { _id: item._id, ...located(opened, item) };
    return { deleteOne: { filter } };
  };
  const { refusals, deleted } = await bulkWrite(opened, items, toOperation, settings(opened, signal));
  tally.deleted += deleted;
  tally.failures.push(...refusals.map((refusal) => failureOf(refusal, opened)));
  if (deleted + refusals.length === items.length) return;
  // A record whose shard key was changed lies elsewhere now.
  const elsewhere = items.filter((item) => located(opened, item) !== undefined);
  if (elsewhere.length === 0) return;
  const refused = new Set(refusals.map(({ item }) => item));
  const left = (await present(opened, elsewhere, signal)).filter((item) => !refused.has(item));
  await deletePlain(
    opened,
    left.map((item) => ({ ...item, locator: undefined })),
    tally,
    signal,
  );
}

/** Compares the documents with what is expected, and deletes those that are so. */
async function deleteExpected(
  opened: OpenCollection,
  items: readonly DeleteItem[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  for (let start = 0; start < items.length; start += MOST_COMPARED) {
    const chunk = items.slice(start, start + MOST_COMPARED);
    const byForm = grouped(chunk);
    let guarded: GuardedItem[] = [];
    let bytes = 0;
    for await (const document of documentsOf(opened, chunk, {}, signal)) {
      const id = opened.decoder.decodeId(document);
      const those = id === undefined || id === null ? [] : (byForm.get(idForm(id)) ?? []);
      for (const item of those) {
        const guard = compare(opened, document, item, tally);
        if (guard !== undefined) guarded.push({ ...item, guard });
      }
      bytes += document.length * those.length;
      if (bytes < MOST_COMPARED_BYTES) continue;
      await deleteGuarded(opened, guarded, tally, signal);
      guarded = [];
      bytes = 0;
    }
    await deleteGuarded(opened, guarded, tally, signal);
  }
}

/** What makes the server delete a document only while it is as it is now; `undefined` where it is not the expected one. */
function compare(opened: OpenCollection, document: Uint8Array, item: DeleteItem, tally: Tally): Document | undefined {
  const { decoder, dialect, bson, label } = opened;
  try {
    const digest = recordDigest(decoder.decode(document));
    if (digest !== item.expected) {
      tally.changed.push(item.index);
      return undefined;
    }
    const guard = dialect.complete ? wholeGuard(document, item._id, bson) : fieldGuard(document, item._id, bson);
    if (guard !== undefined) return guard;
    throw new P2PError(
      "INVALID_RECORD",
      `${label} cannot be asked to delete the record only while it is as expected: the document is too large for that, or holds a value that has no way into the driver; delete it without expecting it to be so`,
    );
  } catch (error) {
    tally.failures.push({ index: item.index, id: item.id, error: mongodbError(error, "read", label) });
    return undefined;
  }
}

async function deleteGuarded(
  opened: OpenCollection,
  items: readonly GuardedItem[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  const { refusals, deleted } = opened.dialect.complete
    ? await bulkWrite(opened, items, ({ guard }) => ({ deleteOne: { filter: guard } }), settings(opened, signal))
    : await deleteAlternatives(opened, items, signal);
  tally.deleted += deleted;
  tally.failures.push(...refusals.map((refusal) => failureOf(refusal, opened)));
  if (deleted + refusals.length === items.length) return;
  // What is there still was changed between the comparison and the delete; what is not was deleted, by us or by others.
  const refused = new Set(refusals.map(({ item }) => item));
  const left = await present(
    opened,
    items.filter((item) => !refused.has(item)),
    signal,
  );
  tally.changed.push(...left.map(({ index }) => index));
}

/** FerretDB reads the whole collection for each delete with more than an id in its filter, so one command has many. */
async function deleteAlternatives(
  { collection }: OpenCollection,
  items: readonly GuardedItem[],
  signal: AbortSignal,
): Promise<Outcome<GuardedItem>> {
  let deleted = 0;
  for (let start = 0; start < items.length; start += MOST_ALTERNATIVES) {
    const named = items.slice(start, start + MOST_ALTERNATIVES);
    // The ids come first, since most documents are none of them, and that is soon seen.
    const filter: Document = { _id: { $in: named.map(({ _id }) => _id) }, $or: named.map(({ guard }) => guard) };
    deleted += (await unlessAborted(collection.deleteMany(filter), signal)).deletedCount;
  }
  return { refusals: [], upserted: 0, deleted };
}

function settings({ dialect }: OpenCollection, signal: AbortSignal) {
  return { named: dialect.namesFailedUpdates, signal };
}

function located({ shardKey, encoder, dialect }: OpenCollection, { locator }: DeleteItem): Document | undefined {
  return locatorFilter(locator, shardKey, encoder, dialect);
}

/** Those of which there is a document, by the id that it has. */
async function present<T extends DeleteItem>(
  opened: OpenCollection,
  items: readonly T[],
  signal: AbortSignal,
): Promise<T[]> {
  const byForm = grouped(items);
  const found = new Set<T>();
  for await (const document of documentsOf(opened, items, { projection: { _id: 1 } }, signal)) {
    const id = opened.decoder.decodeId(document);
    if (id === undefined || id === null) continue;
    for (const item of byForm.get(idForm(id)) ?? []) found.add(item);
  }
  return items.filter((item) => found.has(item));
}

function grouped<T extends DeleteItem>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const form = idForm(item.id);
    const group = groups.get(form);
    if (group === undefined) groups.set(form, [item]);
    else group.push(item);
  }
  return groups;
}

async function* documentsOf(
  { collection }: OpenCollection,
  items: readonly DeleteItem[],
  options: Document,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < items.length; start += MOST_COMPARED) {
    const $in = items.slice(start, start + MOST_COMPARED).map(({ _id }) => _id as never);
    const cursor = collection.find({ _id: { $in } }, { ...options, raw: true, signal });
    for await (const document of cursor) yield document as unknown as Uint8Array;
  }
}

function failureOf({ item, code, reason }: Refusal<DeleteItem>, { label }: OpenCollection): WriteFailure {
  return { index: item.index, id: item.id, error: recordError(code, reason, label) };
}
