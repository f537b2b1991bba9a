import {
  decodeJson,
  encodeJson,
  type IdRef,
  type LookUpOptions,
  type LookUpOutcome,
  P2PError,
  type P2PQuery,
  type P2PValue,
  parseQuery,
  type ReadOptions,
  type RecordBatch,
  type SourceSchema,
} from "@omni/p2p-core/starter";
import { schemaOf } from "./client/declared-table.ts";
import type { SqliteStore } from "./client/store.ts";
import { partitionQuery } from "./query/partition.ts";
import { requireTable } from "./query/relation.ts";
import { countRecords } from "./reading/count.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { unpackBatch, unpackOutcomes } from "./reading/packed-answers.ts";
import { readBatches } from "./reading/read-batches.ts";
import { ReaderChild } from "./reading/reader-child.ts";
import type { PackedOutcomes, ReaderRequest } from "./reading/reader-messages.ts";
import { packRecords } from "./values/packed-records.ts";

/** Bytes of a file from which on counting its rows takes so long that somebody may want to call it off. */
const LARGE = 256 * 1024 * 1024;
const MAX_IDLE = 2;

/**
 * The way in for reading a table: batches, look-ups, counts and partitions.
 *
 * What SQLite may never come back from runs in a child process, which is killed when it is called off: the
 * driver gives no way to interrupt a statement, and a thread cannot be ended while it is inside of one. What is read in
 * short steps, as tables are, is read here.
 */
export class TableReader {
  readonly #store: SqliteStore;
  readonly #table: string;
  /** Processes that have nothing to do. */
  readonly #idle: ReaderChild[] = [];
  readonly #all = new Set<ReaderChild>();
  /** Aborts when the store is closed, whatever is under way. */
  readonly #closing = new AbortController();

  constructor(store: SqliteStore, table: string) {
    this.#store = store;
    this.#table = table;
  }

  async *read(query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    options.signal.throwIfAborted();
    const signal = this.#signal(options.signal);
    const reader = (await this.#mayBlock(query, options.signal)) ? await this.#acquire(signal) : undefined;
    if (reader === undefined) {
      yield* readBatches(this.#store, this.#table, query, options);
      return;
    }
    const { batchSize, batchBytes, after } = options;
    let over = false;
    try {
      reader.ask({ ...this.#request(query), kind: "read", batchSize, batchBytes, after });
      for (;;) {
        const message = await reader.answer(signal);
        if (message.kind !== "batch") break;
        // The next one is read while this one is on its way.
        reader.goOn();
        yield unpackBatch(message.batch);
      }
      over = true;
    } finally {
      this.#release(reader, over);
    }
  }

  /** What the table declares; nothing for views, native SELECTs and virtual tables, which declare no table's form. */
  async schema(query: P2PQuery, signal: AbortSignal): Promise<SourceSchema | undefined> {
    const { fields, native } = parseQuery(query);
    if ((native.sqlite as { sql?: unknown } | undefined)?.sql !== undefined) return undefined;
    return this.#store.patiently("read", signal, () => {
      const table = requireTable(this.#store, this.#table);
      return table.type === "table" ? schemaOf(this.#store, table, fields) : undefined;
    });
  }

  async count(query: P2PQuery, given: AbortSignal): Promise<number> {
    const signal = this.#signal(given);
    const reader = await this.#forCounting(query, signal);
    if (reader === undefined) return countRecords(this.#store, this.#table, query, signal);
    return (await this.#once(reader, { ...this.#request(query), kind: "count" }, signal)) as number;
  }

  async lookUp(refs: readonly IdRef[], query: P2PQuery, options: LookUpOptions): Promise<readonly LookUpOutcome[]> {
    options.signal.throwIfAborted();
    const signal = this.#signal(options.signal);
    const reader = (await this.#mayBlock(query, signal)) ? await this.#acquire(signal) : undefined;
    if (reader === undefined) return lookUpRecords(this.#store, this.#table, refs, query, { signal });
    const ids = packRecords(refs.map(({ id }) => ({ id })));
    return unpackOutcomes(
      (await this.#once(reader, { ...this.#request(query), kind: "lookUp", ids }, signal)) as PackedOutcomes,
    );
  }

  async partitions(query: P2PQuery, parts: number, given: AbortSignal): Promise<readonly P2PQuery[]> {
    const signal = this.#signal(given);
    const reader = parts > 1 ? await this.#forCounting(query, signal) : undefined;
    if (reader === undefined) return partitionQuery(this.#store, this.#table, query, parts, signal);
    const text = await this.#once(reader, { ...this.#request(query), kind: "partitions", parts }, signal);
    return decodeJson(text as string) as unknown as readonly P2PQuery[];
  }

  /** Ends all processes, whatever they do. */
  close(): void {
    const { label } = this.#store.endpoint;
    this.#closing.abort(new P2PError("CLOSED", `${label} was closed while it was being read`));
    for (const reader of this.#all) reader.kill();
    this.#all.clear();
    this.#idle.length = 0;
  }

  #signal(given: AbortSignal): AbortSignal {
    return AbortSignal.any([given, this.#closing.signal]);
  }

  async #forCounting(query: P2PQuery, signal: AbortSignal): Promise<ReaderChild | undefined> {
    signal.throwIfAborted();
    const { isolate } = this.#store.endpoint.options;
    const size = async () => this.#store.patiently("read", signal, () => this.#store.size());
    const large = isolate === "auto" && (await size()) > LARGE;
    return large || (await this.#mayBlock(query, signal)) ? this.#acquire(signal) : undefined;
  }

  /** Whether a statement of the query may take for ever: one that others have written, whatever is in it. */
  async #mayBlock(query: P2PQuery, signal: AbortSignal): Promise<boolean> {
    const { isolate } = this.#store.endpoint.options;
    this.#store.assertSameFile();
    if (isolate !== "auto") return isolate === "always";
    if (Object.keys(parseQuery(query).native).length > 0) return true;
    const table = await this.#store.patiently("read", signal, () => this.#store.table(this.#table));
    return table !== undefined && table.type !== "table";
  }

  #request(query: P2PQuery) {
    const { endpoint, patienceMs, inode } = this.#store;
    const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
    return { endpoint, patienceMs, inode, table: this.#table, query: encodeJson(given as unknown as P2PValue) };
  }

  async #once(reader: ReaderChild, request: ReaderRequest, signal: AbortSignal): Promise<unknown> {
    let over = false;
    try {
      reader.ask(request);
      const message = await reader.answer(signal);
      over = true;
      return message.kind === "done" ? message.value : undefined;
    } finally {
      this.#release(reader, over);
    }
  }

  /** @returns `undefined` where there can be no process: what was asked is done in this one then. */
  async #acquire(signal: AbortSignal): Promise<ReaderChild | undefined> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (idle.isAlive) return idle;
    const reader = await ReaderChild.begin(this.#store.endpoint.label, signal);
    if (reader !== undefined) this.#all.add(reader);
    return reader;
  }

  #release(reader: ReaderChild, over: boolean): void {
    if (over && reader.isAlive && this.#all.has(reader) && this.#idle.length < MAX_IDLE) {
      reader.rest();
      this.#idle.push(reader);
      return;
    }
    reader.kill();
    this.#all.delete(reader);
  }
}
