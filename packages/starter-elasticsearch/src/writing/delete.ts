import {
  type DeleteOptions,
  type DeleteRef,
  type DeleteResult,
  idKey,
  isP2PError,
  P2PError,
  recordDigest,
  type WriteFailure,
} from "@omni/p2p-core/starter";
import { hiddenText } from "../mapping/hidden-fields.ts";
import { loadSchemas } from "../mapping/load-schema.ts";
import type { IndexSchema, IndexSchemas } from "../mapping/schema.ts";
import { ALL } from "../query/clause.ts";
import { refresh, type SourceIndex } from "../query/source-index.ts";
import { canBeKey, type FoundDocuments, findByIds } from "../reading/by-id.ts";
import { decodePage, type Hit } from "../values/decode.ts";
import { liesAt, placeOf } from "../values/locator.ts";
import { type Deletion, type DeletionOutcome, type DeletionTarget, deleteDocuments } from "./bulk-delete.ts";

/** The indices that are deleted from. */
export interface DeletedFrom extends SourceIndex, DeletionTarget {}

/** How often a document that changes while it is being deleted is looked at anew. */
const ATTEMPTS = 3;

/**
 * Deletes the documents with these ids, wherever the endpoint's name leads: in each of its indices, and with any routing. A
 * locator tells which of several is meant.
 *
 * @throws P2PError when the whole call failed
 */
export async function deleteRecords(
  target: DeletedFrom,
  refs: readonly DeleteRef[],
  { signal }: DeleteOptions,
): Promise<DeleteResult> {
  signal.throwIfAborted();
  const tally = new DeletionTally(refs);
  for (let attempt = 1; ; attempt++) {
    const again = await deleteOnce(target, refs, tally, signal);
    if (again.length === 0) return tally.result();
    if (attempt < ATTEMPTS) tally.reopen(again);
    else return tally.changed(again).result();
  }
}

/** What became of each ref. */
class DeletionTally {
  readonly #refs: readonly DeleteRef[];
  /** Places of refs that nothing has become of yet. */
  #open: Set<number>;
  /** Refs of which a document was deleted, though others may be left. */
  readonly #gone = new Set<number>();
  readonly #changed: number[] = [];
  readonly #failures: WriteFailure[] = [];

  constructor(refs: readonly DeleteRef[]) {
    this.#refs = refs;
    this.#open = new Set(refs.keys());
  }

  /** Those that there is something to do for. */
  get open(): readonly number[] {
    return [...this.#open];
  }

  fail(index: number, error: P2PError): void {
    this.#open.delete(index);
    this.#failures.push({ index, id: this.#refs[index]!.id, error });
  }

  changed(indices: readonly number[]): this {
    for (const index of indices) this.#open.delete(index);
    this.#changed.push(...indices);
    return this;
  }

  deleted(index: number): void {
    this.#open.delete(index);
    this.#gone.add(index);
  }

  absent(index: number): void {
    this.#open.delete(index);
  }

  reopen(indices: readonly number[]): void {
    this.#open = new Set(indices);
  }

  result(): DeleteResult {
    const left = new Set([...this.#changed, ...this.#failures.map(({ index }) => index)]);
    const deleted = [...this.#gone].filter((index) => !left.has(index)).length;
    return {
      deleted,
      absent: this.#refs.length - deleted - left.size,
      changed: this.#changed.sort((a, b) => a - b),
      failures: this.#failures.sort((a, b) => a.index - b.index),
    };
  }
}

/** Resolves with the refs whose documents changed between the look at them and the deletion. */
async function deleteOnce(
  target: DeletedFrom,
  refs: readonly DeleteRef[],
  tally: DeletionTally,
  signal: AbortSignal,
): Promise<number[]> {
  const { link, index } = target;
  const [schemas, refreshed] = await Promise.all([loadSchemas(link, index, "write", signal), refresh(target, signal)]);
  const byKey = new Map<string, number[]>();
  for (const i of tally.open) {
    const key = idKey(refs[i]!.id);
    if (schemas === undefined || !canBeKey(key)) tally.absent(i);
    else if (byKey.has(key)) byKey.get(key)!.push(i);
    else byKey.set(key, [i]);
  }
  if (schemas === undefined) return [];
  const guarded = [...byKey.values()].flat().some((i) => refs[i]!.expected !== undefined);
  const fetched = guarded ? { filter: ALL, source: undefined } : undefined;
  const again: number[] = [];
  for await (const found of findByIds({ ...target, schemas, refreshed }, [...byKey.keys()], fetched, signal)) {
    const plan = planDeletions(found, byKey, refs, { ...target, schemas }, tally);
    const outcomes = await deleteDocuments(
      target,
      plan.map(({ deletion }) => deletion),
      signal,
    );
    for (const [i, own] of outcomesByRef(plan, outcomes)) {
      const error = own.find((outcome) => isP2PError(outcome));
      if (own.includes("deleted")) tally.deleted(i);
      if (error !== undefined) tally.fail(i, error as P2PError);
      else if (own.includes("changed")) again.push(i);
      else if (!own.includes("deleted")) tally.absent(i);
    }
    signal.throwIfAborted();
  }
  return again;
}

interface PlannedDeletion {
  readonly ref: number;
  readonly deletion: Deletion;
}

/** What became of the documents of each ref. */
function outcomesByRef(
  plan: readonly PlannedDeletion[],
  outcomes: readonly DeletionOutcome[],
): ReadonlyMap<number, readonly DeletionOutcome[]> {
  const byRef = new Map<number, DeletionOutcome[]>();
  for (const [n, { ref }] of plan.entries()) {
    const own = byRef.get(ref);
    if (own === undefined) byRef.set(ref, [outcomes[n]!]);
    else own.push(outcomes[n]!);
  }
  return byRef;
}

/** What is to be deleted for which ref. What becomes of a ref without that is told right away. */
function planDeletions(
  found: FoundDocuments,
  byKey: ReadonlyMap<string, readonly number[]>,
  refs: readonly DeleteRef[],
  target: DeletedFrom & { readonly schemas: IndexSchemas },
  tally: DeletionTally,
): PlannedDeletion[] {
  const plan: PlannedDeletion[] = [];
  const { schemas } = target;
  const documents = new Map<string, Set<Hit>>();
  for (const hit of found.documents) documents.set(hit._id, (documents.get(hit._id) ?? new Set()).add(hit));
  const digests = digestsOf(found, target);
  for (const key of found.keys) {
    const all = documents.get(key) ?? new Set<Hit>();
    const left = new Set(all);
    // Those that say where go first, so that others do not take theirs.
    const own = byKey.get(key)!.toSorted((a, b) => Number(isLocated(refs[b]!, all)) - Number(isLocated(refs[a]!, all)));
    for (const ref of own) {
      const { locator, expected } = refs[ref]!;
      const unsure = found.unsure.get(key);
      if (unsure !== undefined) {
        tally.fail(ref, unsure);
        continue;
      }
      // One whose document an earlier ref has taken takes no other in its place.
      const located = [...all].filter((hit) => liesAt(hit, locator));
      const meant = (located.length > 0 ? located : [...all]).filter((hit) => left.has(hit));
      const unread = meant.map((hit) => digests.get(placeOf(hit))).find((digest) => isP2PError(digest));
      const trouble = expected === undefined ? undefined : (guardTrouble(key, meant, found, target) ?? unread);
      if (trouble !== undefined) tally.fail(ref, trouble as P2PError);
      else if (meant.length === 0) tally.absent(ref);
      else if (expected !== undefined && meant.some((hit) => digests.get(placeOf(hit)) !== expected)) {
        tally.changed([ref]);
      } else {
        for (const hit of meant) {
          left.delete(hit);
          plan.push({ ref, deletion: deletionOf(hit, nameFor(hit, target.index, schemas), expected !== undefined) });
        }
      }
    }
  }
  return plan;
}

function isLocated({ locator }: DeleteRef, documents: ReadonlySet<Hit>): boolean {
  for (const hit of documents) if (liesAt(hit, locator)) return true;
  return false;
}

function deletionOf({ _id, _routing, _seq_no, _primary_term }: Hit, index: string, guarded: boolean): Deletion {
  const unchanged = guarded ? { unchanged: { change: _seq_no!, term: _primary_term! } } : {};
  return { key: _id, index, routing: _routing, ...unchanged };
}

/** One who may write to an alias of one index may know no other name of it; a data stream deletes by its indices alone. */
function nameFor({ _index }: Hit, name: string, schemas: IndexSchemas): string {
  return schemas.size > 1 || _index.startsWith(".ds-") ? _index : name;
}

/** The digests of the records that were read, by where they lie; of those that cannot be read, why. */
function digestsOf(
  { pages }: FoundDocuments,
  target: { readonly schemas: IndexSchemas; readonly link: DeletedFrom["link"] },
): ReadonlyMap<string, string | P2PError> {
  const digests = new Map<string, string | P2PError>();
  for (const { answer, text } of pages) {
    for (const { hit, item, error } of decodePage(answer, text, target).hits) {
      digests.set(placeOf(hit), item === undefined ? error! : recordDigest(item));
    }
  }
  return digests;
}

/** Why documents cannot be told from the ones that are expected. */
function guardTrouble(
  key: string,
  hits: readonly Hit[],
  { ahead }: FoundDocuments,
  { link: { label }, schemas }: { readonly link: DeletedFrom["link"]; readonly schemas: IndexSchemas },
): P2PError | undefined {
  if (ahead.has(key)) {
    const what = `${label} has just changed the record ${JSON.stringify(key)}, and does not show it yet`;
    return new P2PError("BUSY", `${what}; ask again`, { retryable: true, retryAfterMs: 1000 });
  }
  for (const { _index, _seq_no = -1 } of hits) {
    const schema = schemas.get(_index);
    const why = schema && (_seq_no < 0 || schema.unnumbered ? UNNUMBERED : unreadable(schema));
    if (why === undefined) continue;
    const what = `The record ${JSON.stringify(key)} of ${label} cannot be compared with the expected one: the index "${_index}" ${why}`;
    return new P2PError("UNSUPPORTED_QUERY", `${what}; delete without "expected" if nobody else writes to it`);
  }
  return undefined;
}

const UNNUMBERED = "does not number its changes (index.disable_sequence_numbers)";

function unreadable({ sourceless, hidden }: IndexSchema): string | undefined {
  if (sourceless) return "keeps no documents, since its _source is switched off";
  const said = hiddenText(hidden);
  return said === undefined ? undefined : `leaves fields out of _source (${said})`;
}
