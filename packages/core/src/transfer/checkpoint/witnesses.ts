/** Witnesses: a sample of written records, by which a target that was emptied or made anew is known. */
import { hash } from "node:crypto";
import { isP2PError } from "../../errors.ts";
import { canonicalText } from "../../model/canonical.ts";
import { fromJson, toJson } from "../../model/json.ts";
import { idKey, type P2PId, type P2PRecord } from "../../model/record.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { P2PDataTransferService } from "../../storage/service.ts";
import type { Witness } from "./checkpoint.ts";

/** Records remembered of a batch. */
const PER_BATCH = 4;

/** How many of the oldest must be gone before the store counts as emptied: fewer may have been deleted one by one. */
const GONE = 4;

/** Longest id that is remembered, in characters of its JSON text. */
const MAX_ID = 512;

/**
 * Remembers a few records of one end: of the first batch, the second, the fourth, the eighth and so on, so that their number
 * grows with the logarithm of the batches. A store that was emptied or refilled keeps its incarnation, and may be unable to tell
 * it anyway, but it no longer has them.
 */
export class Witnesses {
  readonly #service: P2PDataTransferService;
  /** With what the records were read, or `undefined` where their fields do not matter. */
  readonly #query: P2PQuery | undefined;
  readonly #list: Witness[];
  #batches = 0;
  #next = 1;
  #checking: Promise<void> = Promise.resolve();
  /** Whether this store can be asked for records by their ids at all. */
  #askable: boolean;

  /**
   * @param query of a source: its fields are remembered as well, so that another record of the same id is told apart.
   * @param earlier those of the checkpoint that is resumed.
   */
  constructor(service: P2PDataTransferService, query?: P2PQuery, earlier: readonly Witness[] = []) {
    this.#service = service;
    this.#query = query;
    this.#list = [...earlier];
    // A native query's records need not be found by their ids.
    this.#askable = query?.native === undefined;
  }

  /** The oldest first. */
  get list(): readonly Witness[] {
    return this.#list;
  }

  /** Counts a batch of so many records, and remembers some of them where it is its turn. */
  note(length: number, recordAt: (place: number) => P2PRecord | undefined, signal: AbortSignal): void {
    this.#batches++;
    if (!this.#askable || this.#batches < this.#next) return;
    this.#next = this.#batches * 2;
    const some = spread(length).flatMap((place) => this.#witness(recordAt(place)) ?? []);
    if (this.#query) {
      this.#list.push(...some);
      return;
    }
    // What a target does not give back by the id that was written (it keeps ids in another form, say) tells nothing later.
    const check = async () => {
      const there = await this.#ask(some, signal);
      if (there) this.#list.push(...some.filter((witness) => there(witness)));
    };
    // Who ends the transfer ends this too, and nobody waits for it then.
    this.#checking = this.#checking.then(check).catch(() => {});
  }

  /** Takes over some of those that a part of the transfer found. */
  adopt(witnesses: readonly Witness[]): void {
    this.#list.push(...witnesses.slice(0, PER_BATCH));
  }

  /**
   * The ids of records that should be there and are not, where they are as many as only emptying explains; else `undefined`.
   *
   * @param least how many of the oldest. Default: of a target four, since another run's records are asked as one; of a source all, since
   * what was read may have been deleted by its owner.
   */
  async emptied(
    signal: AbortSignal,
    least: number = this.#query ? Number.POSITIVE_INFINITY : GONE,
  ): Promise<readonly string[] | undefined> {
    await this.#checking;
    if (this.#list.length === 0) return undefined;
    const there = await this.#ask(this.#list, signal);
    if (!there) return undefined;
    const first = this.#list.findIndex((witness) => there(witness));
    const gone = first < 0 ? this.#list : this.#list.slice(0, first);
    return gone.length >= Math.min(least, this.#list.length)
      ? gone.slice(0, GONE).map(({ id }) => idKey(fromJson(id) as P2PId))
      : undefined;
  }

  #witness(record: P2PRecord | undefined): Witness | undefined {
    if (!record) return undefined;
    try {
      const id = toJson(record.id as P2PValue);
      if (JSON.stringify(id).length > MAX_ID) return undefined;
      return { id, ...(this.#query && { digest: digestOf(record) }) };
    } catch {
      return undefined;
    }
  }

  /** Tells of each witness whether it is there as it was; `undefined` where the store cannot be asked. */
  async #ask(witnesses: readonly Witness[], signal: AbortSignal): Promise<((witness: Witness) => boolean) | undefined> {
    if (!this.#askable || witnesses.length === 0) return undefined;
    const ids = witnesses.map(({ id }) => fromJson(id) as P2PId);
    const found = new Map<string, string | undefined>();
    try {
      for await (const record of this.#recordsWith(ids, signal)) {
        found.set(idKey(record.id), this.#query && digestOf(record));
      }
    } catch (error) {
      signal.throwIfAborted();
      // What could not be told for the moment is asked the next time.
      if (!isP2PError(error) || !error.retryable) this.#askable = false;
      return undefined;
    }
    return ({ id, digest }) => {
      const key = idKey(fromJson(id) as P2PId);
      return found.has(key) && found.get(key) === digest;
    };
  }

  /** Looks the ids up, or reads with them as a condition where a store has no look-ups: that may look at every record. */
  async *#recordsWith(ids: readonly P2PId[], signal: AbortSignal): AsyncGenerator<P2PRecord> {
    const fields = this.#query ? this.#query.fields : ["id"];
    if (this.#service.lookUp) {
      const refs = ids.map((id) => ({ id }));
      for (const outcome of await this.#service.lookUp(refs, fields ? { fields } : {}, { signal })) {
        if (outcome.state === "failed") throw outcome.error;
        if (outcome.state === "wanted") yield outcome.record;
      }
      return;
    }
    const query = { where: { id: { in: ids } }, ...(fields && { fields }) } as P2PQuery;
    for await (const { records } of this.#service.readFromSource(query, { batchSize: ids.length, signal })) {
      yield* records;
    }
  }
}

function digestOf(record: P2PRecord): string {
  return hash("sha256", canonicalText(record as unknown as P2PValue), "base64url").slice(0, 22);
}

/** Up to {@link PER_BATCH} of so many places, from the first to the last. */
function spread(length: number): number[] {
  const many = Math.min(PER_BATCH, length);
  return Array.from({ length: many }, (_, i) => (many === 1 ? 0 : Math.floor((i * (length - 1)) / (many - 1))));
}

/** Witnesses as they stand in a checkpoint, if there are any. */
export function keptWitnesses(list: readonly Witness[]): { readonly witnesses?: readonly Witness[] } {
  return list.length > 0 ? { witnesses: [...list] } : {};
}
