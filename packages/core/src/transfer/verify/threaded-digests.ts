/** The worker thread that reads a side of a comparison, as the thread that began it sees it. */
import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { onAbort } from "../../async/abort.ts";
import { P2PError } from "../../errors.ts";
import { toJson } from "../../model/json.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { originOf } from "../../storage/origins.ts";
import type { FromThread, PackedDigests, ThreadData, ToThread } from "./digest-messages.ts";
import type { Side } from "./read.ts";

/** How long opening the store in the thread may take, in ms. Until then the side is read where it was begun. */
const OPEN_MS = 30_000;

/** What is read is garbage soon: more room for it takes more memory, and no less time. */
const YOUNG_MB = 12;

/** How long a thread that is of no more use may take to close its store, in ms. */
const GRACE_MS = 2000;

/** Reads the rest of a side in a worker thread of its own, and gives the digests of it. */
export class ThreadedDigests {
  readonly #data: ThreadData;
  readonly #signal: AbortSignal;
  #worker: Worker | undefined;
  #isReady = false;
  #answer = Promise.withResolvers<PackedDigests | undefined>();
  #onProgress: (records: number) => void = () => {};

  private constructor(data: ThreadData, signal: AbortSignal) {
    this.#data = data;
    this.#signal = signal;
    // Nobody may wait for it yet.
    this.#answer.promise.catch(() => {});
  }

  /** `undefined` where the side cannot be read in a thread, or there is no processor for one. */
  static of(
    { service, query, batchSize, retry, signal, transform }: Side,
    key: Uint8Array,
  ): ThreadedDigests | undefined {
    const origin = originOf(service);
    const here = origin === undefined || transform !== undefined || availableParallelism() < 2;
    if (here || !service.capabilities.resumable || threadFile() === undefined) return undefined;
    const asked = toJson(query as unknown as P2PValue);
    return new ThreadedDigests({ origin, query: asked, batchSize, retry, timeoutMs: OPEN_MS, key }, signal);
  }

  /** Whether it waits to be told where to go on. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Begins to open the store. Where that fails, it is never ready. */
  begin(): void {
    if (this.#worker) return;
    try {
      this.#worker = new Worker(threadFile()!, {
        workerData: this.#data,
        // Flags of this process, such as the kind of a script that came by --eval, are not for the thread's file.
        execArgv: [],
        resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
      });
    } catch {
      // No threads are allowed, or the endpoint holds a function or a client, which no other thread can have.
      return;
    }
    this.#worker.unref();
    this.#worker.on("message", (message: FromThread) => this.#take(message));
    // An exit follows.
    this.#worker.on("error", () => {});
    this.#worker.once("exit", () => this.#over(undefined));
  }

  /**
   * The digests of all that comes after a cursor; `undefined` where the thread ended by itself, for instance for want of memory.
   *
   * @throws what reading the side throws, or the signal's reason.
   */
  async digest(after: JsonValue, onProgress: (records: number) => void): Promise<PackedDigests | undefined> {
    this.#onProgress = onProgress;
    const forget = onAbort(this.#signal, () => this.#answer.reject(this.#signal.reason));
    this.#worker!.ref();
    this.#tell({ kind: "read", after });
    try {
      return await this.#answer.promise;
    } finally {
      forget();
      this.#onProgress = () => {};
      this.#worker!.unref();
    }
  }

  /** Lets the thread close its store and end. */
  close(): void {
    const worker = this.#worker;
    if (!worker) return;
    this.#tell({ kind: "end" });
    const timer = setTimeout(() => void worker.terminate(), GRACE_MS);
    timer.unref();
    worker.once("exit", () => clearTimeout(timer));
  }

  #tell(message: ToThread): void {
    this.#worker!.postMessage(message);
  }

  #take(message: FromThread): void {
    if (message.kind === "ready") this.#isReady = true;
    else if (message.kind === "progress") this.#onProgress(message.records);
    else if (message.kind === "done") this.#over(message);
    else {
      const { code, message: text, retryable, cause } = message.error;
      this.#isReady = false;
      this.#answer.reject(
        new P2PError(code, text, { retryable, ...(cause !== undefined && { cause: new Error(cause) }) }),
      );
    }
  }

  #over(digests: PackedDigests | undefined): void {
    this.#isReady = false;
    this.#answer.resolve(digests);
  }
}

/** Beside this file, in the sources as in the package; `undefined` in a bundle that leaves it out, or has no address. */
function threadFile(): URL | undefined {
  const here: string | undefined = import.meta.url;
  if (here === undefined) return undefined;
  const file = new URL(here.endsWith(".ts") ? "./digest-thread.ts" : "./digest-thread.js", here);
  return file.protocol === "file:" && existsSync(fileURLToPath(file)) ? file : undefined;
}
