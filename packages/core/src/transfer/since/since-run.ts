/** One incremental run: reads from the watermark of the last finished one, and moves it on when it has finished itself. */
import { P2PError } from "../../errors.ts";
import { fromJson, toJson } from "../../model/json.ts";
import { compareValues } from "../../model/order.ts";
import { getField, type P2PValue } from "../../model/value-tree.ts";
import { countOf } from "../../storage/contract-checks.ts";
import { endpointLabel } from "../../storage/endpoint.ts";
import { type P2PQuery, parseQuery } from "../../storage/query.ts";
import { redactError, secretsOf } from "../../storage/redact.ts";
import { CHECKPOINT_VERSION, type Checkpoint, changedParts, type SinceMark } from "../checkpoint/checkpoint.ts";
import { identityOf } from "../checkpoint/identity.ts";
import { claim } from "../durable/claim.ts";
import type { TransferEnd } from "../end.ts";
import type { ResolvedTransfer } from "../options.ts";
import { NO_COUNTS } from "../partitioned/add-up.ts";
import type { TransferResult } from "../result.ts";
import { stopSignal } from "../stop.ts";
import type { SinceOptions } from "./since-options.ts";
import { replacedStore, storesAfter } from "./since-stores.ts";
import { assertGrows, beginBefore, notAfter, otherForm, shown } from "./watermark.ts";

/** What an incremental run goes by: its marks, and what earlier runs knew of the two stores. */
interface Begun extends Pick<Checkpoint, "stores"> {
  readonly since: SinceMark;
}

/** Runs a transfer of what is new. */
export class SinceRun {
  readonly #source: TransferEnd;
  readonly #target: TransferEnd;
  readonly #query: P2PQuery;
  readonly #options: ResolvedTransfer;
  readonly #since: SinceOptions;
  readonly #markId: string;
  readonly #notes: string[] = [];

  /** @throws P2PError `INVALID_CONFIG`, `INVALID_QUERY`: what cannot be read by a watermark. */
  constructor(
    source: TransferEnd,
    target: TransferEnd,
    query: P2PQuery,
    options: ResolvedTransfer,
    since: SinceOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#query = query;
    this.#options = options;
    this.#since = since;
    this.#markId = `${options.transferId}.since`;
    assertReplaces(target);
    assertSinceable(query, options, since);
  }

  /** @param move carries out a transfer of this query. */
  async run(move: (query: P2PQuery) => Promise<TransferResult>): Promise<TransferResult> {
    const checkpoints = this.#options.checkpoints!;
    const stop = stopSignal(this.#options);
    try {
      const unlock = await claim(checkpoints, this.#markId, stop.signal);
      try {
        const { since: mark, stores } = await this.#begin(stop.signal);
        const from = mark.from === null ? undefined : fromJson(mark.from);
        const result = await move(this.#narrowed(from));
        // Of a run that had failures, too: they are in the dead letters, from which they are sent again.
        const known = storesAfter(stores, result.checkpoint.stores);
        await checkpoints.save(this.#checkpoint({ ...mark, highest: mark.next }, "completed", known));
        await checkpoints.flush?.(this.#markId);
        return { ...result, notes: [...this.#notes, ...(result.notes ?? [])] };
      } finally {
        await unlock().catch(() => {});
      }
    } catch (error) {
      throw redactError(error, secretsOf(this.#source.endpoint, this.#target.endpoint));
    } finally {
      stop.disarm();
    }
  }

  /** Finds where this run begins, and keeps it: a run that is resumed must begin where it did. */
  async #begin(signal: AbortSignal): Promise<Begun> {
    const checkpoints = this.#options.checkpoints!;
    const { field, overlap } = this.#since;
    const kept = await this.#kept();
    if (this.#options.resume && kept && (await checkpoints.load(this.#options.transferId)) !== undefined) return kept;
    // Before anything is read: what changes meanwhile is read by the next run, though a record that is later may be read by this one.
    const now = new Date();
    const highest = await this.#edge("desc", signal);
    const earlier = kept && (await this.#isStill(kept, highest, signal)) ? kept : undefined;
    const before = earlier === undefined ? undefined : highestOf(earlier);
    if (highest !== undefined) assertGrows(field, (await this.#edge("asc", signal)) ?? highest, highest);
    if (before !== undefined && highest !== undefined) assertGrows(field, before, highest);
    await this.#noteNulls(signal);
    const from = before === undefined ? undefined : await this.#first(beginBefore(before, overlap), signal);
    const named = JSON.stringify(field);
    this.#notes.push(
      from === undefined
        ? `All was read; the next run reads what has ${named} from about ${highest === undefined ? "the first value" : shown(highest)} on. Deletes are not seen by it: a mirror sees them`
        : `What has ${named} from ${shown(from)} on was read`,
    );
    const next = highest === undefined ? (before ?? null) : notAfter(highest, now);
    const mark: SinceMark = {
      field,
      highest: earlier?.since.highest ?? null,
      from: from === undefined ? null : toJson(from),
      next: next === null ? null : toJson(next),
    };
    // That of an earlier run must not be taken for this one's, should this one end before its first.
    await checkpoints.remove(this.#options.transferId);
    await checkpoints.save(this.#checkpoint(mark, "running", storesAfter(earlier?.stores, undefined)));
    return { since: mark, ...(earlier?.stores && { stores: earlier.stores }) };
  }

  /** Whether both stores are those that the watermark tells of. */
  async #isStill(kept: Begun, highest: P2PValue | undefined, signal: AbortSignal): Promise<boolean> {
    const before = highestOf(kept);
    if (before === undefined) return true;
    const isLower = highest === undefined || compareValues(highest, before) < 0;
    const ends = { source: this.#source, target: this.#target, query: this.#query };
    const { config } = this.#options;
    const replaced = kept.stores && (await replacedStore(ends, kept.stores, isLower, config, signal));
    if (replaced) {
      this.#notes.push(`${replaced} since the run before, so that it begins anew`);
      return false;
    }
    if (isLower && highest !== undefined) {
      this.#notes.push(
        `The highest value of ${JSON.stringify(this.#since.field)} is ${shown(highest)} now and was ${shown(before)}; where the source was filled with older records, begin anew with another transfer id`,
      );
    }
    return true;
  }

  /** Where to begin: texts with a blank sort before those with a T, so that where there are such the day is begun by them. */
  async #first(from: P2PValue, signal: AbortSignal): Promise<P2PValue> {
    const other = otherForm(from);
    if (other === undefined) return from;
    const where = this.#with({ gte: other.from, lt: other.before });
    const { orderBy: _, ...query } = this.#query;
    const asked: P2PQuery = { ...query, where, fields: [this.#since.field], limit: 1 };
    for await (const { records } of this.#source.service.readFromSource(asked, { batchSize: 1, signal })) {
      if (records.length > 0) return other.from;
    }
    return from;
  }

  async #kept(): Promise<Begun | undefined> {
    const checkpoint = await this.#options.checkpoints!.load(this.#markId);
    if (checkpoint?.since === undefined) return undefined;
    const changed = changedParts(checkpoint, this.#identity());
    const isOther = checkpoint.since.field !== this.#since.field;
    const { since, stores } = checkpoint;
    if (changed.length === 0 && !isOther) return { since, ...(stores && { stores }) };
    const what = [...(isOther ? ["field"] : []), ...changed].join(" and ");
    this.#notes.push(`The runs before were of another ${what}, so that it begins anew`);
    return undefined;
  }

  /** The highest or the lowest value of the field; `undefined` where no record has one. */
  async #edge(direction: "asc" | "desc", signal: AbortSignal): Promise<P2PValue | undefined> {
    const { field } = this.#since;
    const where = direction === "asc" ? this.#with({ ne: null }) : this.#query.where;
    const query: P2PQuery = {
      ...this.#query,
      ...(where && { where }),
      fields: [field],
      orderBy: { field, direction },
      limit: 1,
    };
    for await (const { records } of this.#source.service.readFromSource(query, { batchSize: 1, signal })) {
      for (const record of records) return getField(record, field) ?? undefined;
    }
    return undefined;
  }

  async #noteNulls(signal: AbortSignal): Promise<void> {
    const { field, nulls } = this.#since;
    const where = this.#with(null);
    const { orderBy: _, ...query } = this.#query;
    const count = await countOf(this.#source.service, { ...query, where }, signal);
    if (count === undefined || count === 0) return;
    const what = `${count === 1 ? "1 record has" : `${count} records have`} no value in ${JSON.stringify(field)}`;
    if (nulls !== "fail") {
      this.#notes.push(`${what}: only the first run reads such, and changes of theirs are not seen later`);
      return;
    }
    throw new P2PError(
      "INVALID_QUERY",
      `Invalid query: ${what}, and would not be read again; fill the field, or let them be by nulls: "note"`,
    );
  }

  #narrowed(from: P2PValue | undefined): P2PQuery {
    return from === undefined ? this.#query : { ...this.#query, where: this.#with({ gte: from }) };
  }

  /** The conditions of the query, and one more on the field. */
  #with(condition: Record<string, P2PValue> | null): NonNullable<P2PQuery["where"]> {
    return { ...this.#query.where, [this.#since.field]: condition } as NonNullable<P2PQuery["where"]>;
  }

  #identity(): Checkpoint["identity"] {
    return identityOf(this.#source, this.#target, this.#query, this.#options);
  }

  #checkpoint(since: SinceMark, status: Checkpoint["status"], stores: Pick<Checkpoint, "stores">): Checkpoint {
    return {
      version: CHECKPOINT_VERSION,
      transferId: this.#markId,
      status,
      identity: this.#identity(),
      cursor: null,
      recordsRead: 0,
      counts: { ...NO_COUNTS },
      ...stores,
      deadLetterPosition: null,
      since,
      updatedAt: new Date().toISOString(),
    };
  }
}

/** The watermark of the last finished run; `undefined` where there is none, so that all is read. */
function highestOf({ since: { highest } }: Begun): P2PValue | undefined {
  return highest === null ? undefined : fromJson(highest);
}

/** A target that is written in one go would lose all that is not new, or hold the overlap twice. */
function assertReplaces({ service, endpoint }: TransferEnd): void {
  if (!service.sequential) return;
  throw new P2PError(
    "INVALID_CONFIG",
    `Invalid configuration: with "since" records are read again and replaced by their ids, and ${endpointLabel(endpoint)} is written from its beginning to its end; take a store as the target, or copy everything into it without "since"`,
  );
}

function assertSinceable(query: P2PQuery, { config }: ResolvedTransfer, { field }: SinceOptions): void {
  const { limit, offset, native, conditions } = parseQuery(query);
  const trouble =
    Number.isFinite(limit) || offset > 0
      ? "limit and offset leave out records that no later run would read"
      : Object.keys(native).length > 0
        ? "a native query cannot be narrowed by it"
        : query.partition !== undefined
          ? "a partition is not the whole"
          : conditions.some((condition) => condition.field === field)
            ? "where has a condition on the same field"
            : field === "id"
              ? "ids do not grow when a record changes; take a field that does"
              : query.fields !== undefined && !query.fields.includes(field)
                ? "fields leaves it out; name it there"
                : undefined;
  if (trouble !== undefined)
    throw new P2PError("INVALID_QUERY", `Invalid query: with since by ${JSON.stringify(field)}, ${trouble}`);
  if (config.mode !== "upsert") {
    throw new P2PError(
      "INVALID_CONFIG",
      `Invalid configuration: with "since" records are read again, so that "mode" must be upsert, not ${config.mode}`,
    );
  }
}
