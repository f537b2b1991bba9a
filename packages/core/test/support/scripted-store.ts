import { P2PError, type P2PErrorCode, type P2PQuery, type P2PRecord } from "../../src/index.ts";
import {
  idKey,
  matches,
  type P2PCapabilities,
  type P2PDataTransferService,
  type P2PErrorOptions,
  parseQuery,
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  type StoreIdentity,
  type WriteFailure,
  type WriteOptions,
  type WriteResult,
} from "../../src/starter.ts";

/** One call of `writeToTarget`. */
export interface WriteCall {
  /** From 0. */
  readonly number: number;
  readonly records: readonly P2PRecord[];
  readonly options: WriteOptions;
  /** Writes them, all or those given, and says so. */
  readonly apply: (records?: readonly P2PRecord[]) => WriteResult;
}

/** One batch that is about to be given by `readFromSource`. */
export interface ReadCall {
  /** From 0, over all reads. */
  readonly number: number;
  /** Records given before this batch. */
  readonly from: number;
  readonly options: ReadOptions;
}

/** What a scripted store does other than work well. What a function throws, the store throws. */
export interface Script {
  readonly read?: (call: ReadCall) => unknown;
  readonly write?: (call: WriteCall) => WriteResult | Promise<WriteResult>;
  readonly count?: (query: P2PQuery, signal: AbortSignal) => Promise<number | undefined>;
  readonly ping?: (signal: AbortSignal) => Promise<void>;
  readonly close?: () => unknown;
  /** Without it nothing is known of the store, as of starters of the first days. */
  readonly identity?: (signal: AbortSignal) => Promise<StoreIdentity>;
  readonly capabilities?: Partial<P2PCapabilities>;
  /** Records at these places of the source cannot be read. */
  readonly unreadable?: ReadonlySet<number>;
  /** What the source says its batches weigh. */
  readonly batchBytes?: number;
}

const native = "native" as const;

const CAPABILITIES: P2PCapabilities = {
  resumable: true,
  countable: true,
  partitionable: false,
  writeConcurrency: 64,
  atomicBatches: false,
  shareable: true,
  lookUp: false,
  deletes: false,
  changes: false,
  valueTypes: {
    null: native,
    boolean: native,
    number: native,
    bigint: native,
    string: native,
    date: native,
    bytes: native,
    array: native,
    object: native,
    tagged: native,
  },
};

/** A store for tests of the core: records in a list, and a script of what goes wrong. */
export class ScriptedStore implements P2PDataTransferService {
  readonly capabilities: P2PCapabilities;
  /** What it holds, by canonical id, in the order of the first writing. */
  readonly content: Map<string, P2PRecord>;
  /** What was sent to it, call by call. */
  readonly sent: (readonly P2PRecord[])[] = [];
  /** When the calls came, in ms. */
  readonly sentAt: number[] = [];
  reads = 0;
  readOptions: ReadOptions[] = [];
  batchesRead = 0;
  writesUnderWay = 0;
  mostWritesUnderWay = 0;
  pings = 0;
  closings = 0;
  script: Script;
  readonly #list: readonly P2PRecord[];

  constructor(records: readonly P2PRecord[] = [], script: Script = {}) {
    this.script = script;
    this.capabilities = { ...CAPABILITIES, ...script.capabilities };
    this.#list = records;
    this.content = new Map(
      records.map((record, at) => [typeof record?.id === "string" ? record.id : `#${at}`, record]),
    );
  }

  async identity(signal: AbortSignal): Promise<StoreIdentity> {
    return this.script.identity?.(signal) ?? { volatile: true };
  }

  get ids(): string[] {
    return [...this.content.keys()].sort();
  }

  get isClosed(): boolean {
    return this.closings > 0;
  }

  async *readFromSource(query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    this.reads++;
    this.readOptions.push(options);
    const { conditions, limit, offset } = parseQuery(query);
    const chosen = this.#list.filter((record) => conditions.length === 0 || matches(conditions, record));
    let from = typeof options.after === "number" ? options.after : offset;
    const to = Math.min(chosen.length, from + limit);
    while (from < to) {
      await this.script.read?.({ number: this.batchesRead, from, options });
      const end = Math.min(to, from + options.batchSize);
      const places = Array.from({ length: end - from }, (_, i) => from + i);
      const failures = places
        .filter((at) => this.script.unreadable?.has(at))
        .map(
          (at): ReadFailure => ({
            id: String(chosen[at]?.id),
            error: new P2PError("READ_FAILED", "it cannot be made out"),
          }),
        );
      const records = places.filter((at) => !this.script.unreadable?.has(at)).map((at) => chosen[at]!);
      this.batchesRead++;
      from = end;
      yield {
        records: [...records],
        cursor: end,
        ...(failures.length > 0 && { failures }),
        ...(this.script.batchBytes !== undefined && { bytes: this.script.batchBytes }),
      };
    }
  }

  async writeToTarget(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    const number = this.sent.push(records) - 1;
    this.sentAt.push(performance.now());
    this.mostWritesUnderWay = Math.max(this.mostWritesUnderWay, ++this.writesUnderWay);
    try {
      const apply = (some = records) => this.#apply(some, options);
      return await (this.script.write?.({ number, records, options, apply }) ?? apply());
    } finally {
      this.writesUnderWay--;
    }
  }

  #apply(records: readonly P2PRecord[], { mode }: WriteOptions): WriteResult {
    let skipped = 0;
    const failures: WriteFailure[] = [];
    for (const [index, record] of records.entries()) {
      const key = idKey(record.id);
      if (mode === "skip" && this.content.has(key)) skipped++;
      else if (mode === "insert" && this.content.has(key)) {
        failures.push({ index, id: record.id, error: new P2PError("DUPLICATE_ID", `${key} is there`) });
      } else this.content.set(key, record);
    }
    const written = records.length - skipped - failures.length;
    return { written, skipped, failures, bytes: written * 10 };
  }

  async count(query: P2PQuery, signal: AbortSignal): Promise<number | undefined> {
    return this.script.count ? this.script.count(query, signal) : this.#list.length;
  }

  async partitions(query: P2PQuery): Promise<readonly P2PQuery[]> {
    return [query];
  }

  async ping(signal: AbortSignal): Promise<void> {
    this.pings++;
    await this.script.ping?.(signal);
  }

  async close(): Promise<void> {
    this.closings++;
    await this.script.close?.();
  }
}

/** Records with ids that sort like their numbers. */
export function records(count: number, more: (at: number) => object = () => ({})): P2PRecord[] {
  return Array.from({ length: count }, (_, at) => ({ id: `r${String(at).padStart(5, "0")}`, at, ...more(at) }));
}

/** What never settles. */
export function forever(): Promise<never> {
  return new Promise(() => {});
}

/** Settles when the signal aborts, as a good adapter does. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else signal.addEventListener("abort", abort, { once: true });
  });
}

export function busy(options: P2PErrorOptions = {}): P2PError {
  return new P2PError("BUSY", "come back later", { retryable: true, ...options });
}

export function lost(): P2PError {
  return new P2PError("CONNECTION_LOST", "the server went away", { retryable: true });
}

export function refused(code: P2PErrorCode = "TYPE_MISMATCH"): P2PError {
  return new P2PError(code, "it does not fit");
}

/** The result of a write in which some records failed. */
export function withFailures(call: WriteCall, error: (record: P2PRecord) => P2PError | undefined): WriteResult {
  const failures: WriteFailure[] = [];
  const good: P2PRecord[] = [];
  for (const [index, record] of call.records.entries()) {
    const trouble = error(record);
    if (trouble) failures.push({ index, id: record.id, error: trouble });
    else good.push(record);
  }
  const { written, skipped } = call.apply(good);
  return { written, skipped, failures };
}
