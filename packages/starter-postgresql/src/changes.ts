/** Change data capture by logical replication: the ids that the server's log tells of, and how that is turned on and off. */
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  endsWithin,
  type JsonValue,
  onAbort,
  P2PError,
  unlessAborted,
} from "@omni/p2p-core/starter";
import { ChangeCollector, type Told } from "./changes/collector.ts";
import { lsnText, parseLsn } from "./changes/lsn.ts";
import { slotName } from "./changes/names.ts";
import { type Position, parsePosition, positionCursor } from "./changes/position.ts";
import { assertPublished, lookAtPublished, type PublishedTable, placeOf } from "./changes/published-table.ts";
import { openSlotStream, probeReplication, slotTaken, streamError } from "./changes/replication.ts";
import { ANSWER_MS, noAnswer, type SlotStream } from "./changes/slot-stream.ts";
import { advanceSlot, createSlot, dropSlot, findSlot, notOurs, type Slot } from "./changes/slots.ts";
import { untilEnded, untilSeen } from "./changes/snapshot.ts";
import { qualified } from "./client/sql.ts";
import type { PostgresqlStore } from "./client/store.ts";

export { postgresqlChanges } from "./changes/control.ts";

/** How often the catalogue is asked whether the table and its publication are still the same, in ms. */
const LOOK_MS = 5000;
/** How long transactions are waited for that are open when a position is asked for, in ms. */
const OPEN_MS = 1000;
/** Transactions that were told of, and of which nobody has asked whether look-ups see them. */
const MOST_UNSEEN = 10_000;

/** The feed of one table. */
export class LogFeed implements ChangeFeed {
  readonly #store: PostgresqlStore;
  /** Streams by the slots that they read. */
  readonly #streams = new Map<string, SlotStream>();
  /** How far each slot was told here. */
  readonly #told = new Map<string, bigint>();
  /** Transactions that may not be seen by look-ups yet, with the position of the batch that told of them. */
  #unseen: { readonly lsn: bigint; readonly xid: number }[] = [];
  #closed = false;

  constructor(store: PostgresqlStore) {
    this.#store = store;
  }

  async now(follower: string, signal: AbortSignal): Promise<JsonValue> {
    const store = this.#store;
    const published = await lookAtPublished(store, signal);
    assertPublished(store, published);
    const name = slotName(published.place, follower);
    const slot = await findSlot(store, name, signal);
    const isThere = slot?.usable === true && !slot.lost && slot.confirmed !== undefined;
    if (slot !== undefined && !isThere) await dropSlot(store, name, signal);
    const lsn = isThere ? await this.#safeLsn(slot, signal) : await this.#newSlot(name, signal);
    return positionCursor({ lsn, table: published.table.oid, mark: published.mark });
  }

  async #newSlot(name: string, signal: AbortSignal): Promise<bigint> {
    // What hinders reading is told before anything is kept.
    await probeReplication(this.#store, signal);
    this.#told.delete(name);
    return createSlot(this.#store, name, signal);
  }

  /**
   * A place in the log before which look-ups see everything. The end of the log is one when all transactions have ended that are open now, for
   * one of them may be committed there already. Else it is as far as the follower has come.
   */
  async #safeLsn(slot: Slot, signal: AbortSignal): Promise<bigint> {
    const end = await this.#endOfLog(signal);
    if (await untilEnded(this.#store, OPEN_MS, signal)) return end;
    const told = this.#told.get(slot.name) ?? 0n;
    const isSeen = !this.#unseen.some(({ lsn }) => lsn <= told);
    return isSeen && told > slot.confirmed! ? told : slot.confirmed!;
  }

  async #endOfLog(signal: AbortSignal): Promise<bigint> {
    const { rows } = await this.#store.query("read", signal, "SELECT pg_catalog.pg_current_wal_insert_lsn()");
    return parseLsn(rows[0]![0]!)!;
  }

  async *read({ follower, after, maxWaitMs, signal }: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
    signal.throwIfAborted();
    const store = this.#store;
    const position = parsePosition(after);
    const published = await lookAtPublished(store, signal);
    this.#assertSame(published, position);
    const name = slotName(published.place, follower);
    if (this.#streams.has(name)) throw slotTaken(store, name);
    const slot = await this.#requireSlot(name, position, signal);
    const collector = new ChangeCollector(published.table, store.label, {
      plain: store.endpoint.values === "plain",
      from: position.lsn,
    });
    const stream = await openSlotStream(
      store,
      { slot: name, publication: published.publication, from: position.lsn, confirmed: slot.confirmed! },
      collector,
      signal,
    );
    if (this.#closed) {
      await stream.end();
      throw new P2PError("CLOSED", `${store.label} is closed`);
    }
    this.#streams.set(name, stream);
    const forget = onAbort(signal, () => void stream.end());
    try {
      let looked = performance.now();
      while (true) {
        await this.#untilNews(stream, collector, maxWaitMs, signal);
        this.#told.set(name, collector.lsn);
        if (performance.now() - looked >= Math.min(LOOK_MS, maxWaitMs)) {
          this.#assertSame(await lookAtPublished(store, signal), position);
          looked = performance.now();
        }
        const told = collector.take();
        stream.resume();
        await this.#note(told, signal);
        if (collector.failure !== undefined) throw collector.failure;
        yield {
          refs: told.refs,
          cursor: positionCursor({ ...position, lsn: told.lsn }),
          ...(told.committedAt && { committedAt: told.committedAt }),
        };
        signal.throwIfAborted();
      }
    } finally {
      forget();
      if (this.#streams.get(name) === stream) this.#streams.delete(name);
      await stream.end();
    }
  }

  /** Waits until something was told, or for so many ms and then until the server says that there is nothing. */
  async #untilNews(
    stream: SlotStream,
    collector: ChangeCollector,
    maxWaitMs: number,
    signal: AbortSignal,
  ): Promise<void> {
    const start = performance.now();
    let asked = false;
    let broken: { readonly error: unknown } | undefined;
    const over = stream.result.then(
      () => {
        broken ??= { error: undefined };
      },
      (error: unknown) => {
        broken ??= { error };
      },
    );
    while (!collector.isReady) {
      const waited = performance.now() - start;
      const left = asked ? ANSWER_MS : maxWaitMs - waited;
      if (left > 0) await unlessAborted(endsWithin(Promise.race([collector.news, over]), left), signal);
      signal.throwIfAborted();
      if (broken !== undefined) throw streamError(this.#store, broken.error);
      if (collector.isReady) break;
      if (asked && stream.heardAt > start + maxWaitMs) return;
      if (asked) throw noAnswer(this.#store.label);
      if (performance.now() - start < maxWaitMs) {
        collector.rest();
        continue;
      }
      asked = true;
      collector.rest();
      stream.report(true);
    }
    signal.throwIfAborted();
  }

  async #note({ xids, lsn }: Told, signal: AbortSignal): Promise<void> {
    for (const xid of xids) this.#unseen.push({ lsn, xid });
    if (this.#unseen.length > MOST_UNSEEN) await this.#see(() => true, signal);
  }

  /** The log tells of a commit before look-ups see it: always a little, and for long where a synchronous standby is absent. */
  visible(position: JsonValue, signal: AbortSignal): Promise<void> {
    const { lsn } = parsePosition(position);
    return this.#see((one) => one.lsn <= lsn, signal);
  }

  async #see(isMeant: (one: { readonly lsn: bigint }) => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const meant = this.#unseen.filter(isMeant);
    if (meant.length === 0) return;
    await untilSeen(this.#store, [...new Set(meant.map(({ xid }) => xid))], signal);
    const seen = new Set(meant);
    this.#unseen = this.#unseen.filter((one) => !seen.has(one));
  }

  async acknowledge(follower: string, position: JsonValue, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { lsn } = parsePosition(position);
    const name = await this.#slotOf(follower, signal);
    const stream = this.#streams.get(name);
    if (stream !== undefined) stream.confirm(lsn);
    else await advanceSlot(this.#store, name, lsnText(lsn), signal);
  }

  async release(follower: string, signal: AbortSignal): Promise<void> {
    const name = await this.#slotOf(follower, signal);
    await this.#streams.get(name)?.end();
    await dropSlot(this.#store, name, signal);
    this.#told.delete(name);
  }

  /** Ends what is still read, so that its slots are free and nothing keeps the process. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#streams.values()].map((stream) => stream.end()));
  }

  async #slotOf(follower: string, signal: AbortSignal): Promise<string> {
    return slotName(await placeOf(this.#store, signal), follower);
  }

  /** @throws P2PError where the table or what is told of it is another than it was. */
  #assertSame(published: PublishedTable, { table, mark }: Position): void {
    const { label } = this.#store;
    const name = qualified(published.table);
    if (published.table.oid !== table) {
      throw new P2PError(
        "STORE_CHANGED",
        `${label}: ${name} is another table than the one that was followed; it was dropped and made anew, or renamed`,
      );
    }
    assertPublished(this.#store, published);
    if (published.mark === mark) return;
    throw this.#lost(
      `the key, the partitions or the publication of ${name} were changed, and the log does not tell what that did to its rows`,
    );
  }

  async #requireSlot(name: string, { lsn }: Position, signal: AbortSignal): Promise<Slot> {
    const slot = await findSlot(this.#store, name, signal);
    if (slot === undefined) throw this.#lost(`the replication slot ${name} was dropped`);
    if (!slot.usable) throw notOurs(this.#store, name);
    if (slot.lost || slot.confirmed === undefined) {
      throw this.#lost(
        `the replication slot ${name} fell too far behind, and its log was removed (max_slot_wal_keep_size)`,
      );
    }
    if (lsn < slot.confirmed) throw this.#lost(`the replication slot ${name} was moved on, or made anew`);
    if (lsn > (await this.#endOfLog(signal))) throw this.#lost("the server was set back to an earlier state");
    return slot;
  }

  #lost(what: string): P2PError {
    return new P2PError(
      "CHANGES_LOST",
      `${this.#store.label} can no longer tell all changes: ${what}; a new position and a mirror make up for it`,
    );
  }
}
