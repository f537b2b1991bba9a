import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  decodeJson,
  encodeJson,
  type IdRef,
  type LookUpOptions,
  type LookUpOutcome,
  type OpenContext,
  onAbort,
  P2PError,
  type P2PQuery,
  type P2PValue,
  parseQuery,
  type ReadOptions,
  type RecordBatch,
  type StoreInspection,
} from "@omni/p2p-core/starter";
import type { SqliteStore } from "../client/store.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import { inspectHere } from "../inspecting/inspect.ts";
import { partitionQuery } from "../query/partition.ts";
import { readBatches } from "../read.ts";
import { packRecords, unpackRecords } from "../writing/packed-records.ts";
import { unpackError } from "../writing/writer-messages.ts";
import { countRecords } from "./count.ts";
import { lookUpRecords } from "./look-up.ts";
import type { FromReader, PackedBatch, PackedOutcomes, ReaderRequest } from "./reader-messages.ts";

/**
 * Reading that SQLite may never come back from runs in a process of its own, which is killed when it is called off: the
 * driver gives no way to interrupt a statement, and a thread cannot be ended while it is inside of one. What is read in
 * short steps, as tables are, is read here.
 */
export class IsolatedReader {
  readonly #store: SqliteStore;
  readonly #table: string;
  /** Processes that have nothing to do. */
  readonly #idle: ReaderProcess[] = [];
  readonly #all = new Set<ReaderProcess>();
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

  async #forCounting(query: P2PQuery, signal: AbortSignal): Promise<ReaderProcess | undefined> {
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

  async #once(reader: ReaderProcess, request: ReaderRequest, signal: AbortSignal): Promise<unknown> {
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
  async #acquire(signal: AbortSignal): Promise<ReaderProcess | undefined> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (idle.isAlive) return idle;
    const reader = await ReaderProcess.begin(this.#store.endpoint.label, signal);
    if (reader !== undefined) this.#all.add(reader);
    return reader;
  }

  #release(reader: ReaderProcess, over: boolean): void {
    if (over && reader.isAlive && this.#all.has(reader) && this.#idle.length < MAX_IDLE) {
      reader.rest();
      this.#idle.push(reader);
      return;
    }
    reader.kill();
    this.#all.delete(reader);
  }
}

/** Looks at a file in a process of its own, where there can be one: any of its views may be a trap. */
export async function inspectIsolated(endpoint: SqliteEndpoint, context: OpenContext): Promise<StoreInspection> {
  const { signal, connectTimeoutMs } = context;
  signal.throwIfAborted();
  const since = performance.now();
  const reader = endpoint.options.isolate === "never" ? undefined : await ReaderProcess.begin(endpoint.label, signal);
  if (reader === undefined) return inspectHere(endpoint, context);
  try {
    // What is left of it, so that a lock is told before the one who waits gives up.
    const patienceMs = Math.max(1, connectTimeoutMs - (performance.now() - since));
    reader.ask({ kind: "inspect", endpoint, patienceMs });
    const message = await reader.answer(signal);
    return (message as { value: StoreInspection }).value;
  } finally {
    reader.kill();
  }
}

/** Bytes of a file from which on counting its rows takes so long that somebody may want to call it off. */
const LARGE = 256 * 1024 * 1024;
const MAX_IDLE = 2;

/** What the process sees of this one's environment: where programs and temporary files are. */
const ENVIRONMENT = ["PATH", "TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR", "SystemRoot", "LD_LIBRARY_PATH"];

class ReaderProcess {
  readonly #label: string;
  readonly #child: ChildProcess;
  readonly #messages: FromReader[] = [];
  #waiting: (() => void) | undefined;
  #ended: string | undefined;

  private constructor(label: string, file: string) {
    this.#label = label;
    this.#child = fork(file, {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      execArgv: [],
      env: Object.fromEntries(ENVIRONMENT.map((name) => [name, process.env[name]])),
    });
    this.#child.on("message", (message: FromReader) => {
      this.#messages.push(message);
      this.#waiting?.();
    });
    const end = (how: string) => {
      this.#ended ??= how;
      this.#waiting?.();
    };
    this.#child.on("error", (error) => end(error.message));
    this.#child.on("exit", (code, signal) => end(signal === null ? `exit code ${code}` : signal));
  }

  /** @returns `undefined` where there can be none, for instance in a bundle that leaves out its file. */
  static async begin(label: string, signal: AbortSignal): Promise<ReaderProcess | undefined> {
    const file = processFile();
    if (file === undefined) return undefined;
    let reader: ReaderProcess;
    try {
      reader = new ReaderProcess(label, file);
    } catch {
      // Where processes are not allowed.
      return undefined;
    }
    try {
      await reader.#next(signal);
      return reader;
    } catch (error) {
      reader.kill();
      signal.throwIfAborted();
      if (error instanceof P2PError) return undefined;
      throw error;
    }
  }

  get isAlive(): boolean {
    return this.#ended === undefined && this.#child.connected;
  }

  ask(request: ReaderRequest): void {
    this.#child.ref();
    this.#child.channel?.ref();
    this.#child.send(request, () => {});
  }

  /** Asks for the next batch. */
  goOn(): void {
    this.#child.send({ kind: "next" }, () => {});
  }

  /** Lets the process that uses it end. */
  rest(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
    this.rest();
  }

  /** @throws what the other process threw, or the signal's reason, after which it is of no more use. */
  async answer(signal: AbortSignal): Promise<FromReader> {
    const message = await this.#next(signal);
    if (message.kind === "failed") throw unpackError(message.error);
    return message;
  }

  async #next(signal: AbortSignal): Promise<FromReader> {
    for (;;) {
      signal.throwIfAborted();
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      if (this.#ended !== undefined) {
        throw new P2PError(
          "READ_FAILED",
          `The process that read ${this.#label} ended (${this.#ended}); if it does so again, the file may be damaged: see PRAGMA integrity_check`,
          { retryable: true },
        );
      }
      await new Promise<void>((resolve) => {
        const forget = onAbort(signal, () => this.#waiting?.());
        this.#waiting = () => {
          forget();
          this.#waiting = undefined;
          resolve();
        };
      });
    }
  }
}

function unpackBatch({ records, cursor, failures, bytes, valid, distinct }: PackedBatch): RecordBatch {
  return {
    records: unpackRecords(records),
    cursor,
    valid,
    distinct,
    ...(bytes === undefined ? {} : { bytes }),
    ...(failures.length === 0
      ? {}
      : { failures: failures.map(({ id, error }) => ({ id, error: unpackError(error) })) }),
  };
}

function unpackOutcomes({ outcomes, records }: PackedOutcomes): LookUpOutcome[] {
  const wanted = unpackRecords(records).values();
  return outcomes.map((outcome) => {
    if (outcome === "wanted") return { state: outcome, record: wanted.next().value! };
    return typeof outcome === "string" ? { state: outcome } : { state: "failed", error: unpackError(outcome) };
  });
}

/** Beside this file, in the sources as in the package; `undefined` where it is not, or where Node is inside another program. */
function processFile(): string | undefined {
  const here: string | undefined = import.meta.url;
  if (here === undefined || process.versions.electron !== undefined) return undefined;
  try {
    const file = fileURLToPath(new URL(here.endsWith(".ts") ? "./reader-process.ts" : "./reader-process.js", here));
    return existsSync(file) ? file : undefined;
  } catch {
    return undefined;
  }
}
