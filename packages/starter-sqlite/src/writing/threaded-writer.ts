/** The worker thread that writes, as the thread that began it sees it. */
import { Worker } from "node:worker_threads";
import { onAbort, P2PError, type P2PRecord, type WriteOptions, type WriteResult } from "@omni/p2p-core/starter";
import { unpackError } from "../client/packed-error.ts";
import type { PackedRecords } from "../values/packed-records.ts";
import type { FromThread, PackedResult, ThreadData, ToThread } from "./writer-messages.ts";

/** A batch that the thread has not answered for. */
interface Waiting {
  readonly resolve: (result: PackedResult) => void;
  readonly reject: (error: unknown) => void;
}

/** Writes batches to one table in a worker thread, one after the other, each in a transaction of its own. */
export class ThreadWriter {
  /** Resolves when batches can be written, and is rejected with the reason why none ever can. */
  readonly ready: Promise<void>;
  readonly #label: string;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #waiting = new Map<number, Waiting>();
  #batches = 0;
  #takesBatches = false;

  /** @throws Error when this process may have no threads. */
  constructor(data: ThreadData) {
    this.#label = data.endpoint.label;
    this.#worker = new Worker(threadFile(), {
      workerData: data,
      // Flags of this process, such as the kind of a script that came by --eval, are not for the thread's file.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    const ready = Promise.withResolvers<void>();
    this.ready = ready.promise;
    this.#worker.on("message", (message: FromThread) => {
      if (message.kind !== "ready") return this.#answer(message);
      // It holds the process only as long as it is waited for.
      this.#worker.unref();
      this.#takesBatches = true;
      ready.resolve();
    });
    // An exit follows.
    this.#worker.on("error", ready.reject);
    this.#ended = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        ready.reject(new Error("it ended"));
        this.#fail();
        resolve();
      });
    });
  }

  /** Whether it is ready, and has not ended. */
  get takesBatches(): boolean {
    return this.#takesBatches;
  }

  /**
   * Writes a batch when those before it are done.
   *
   * @param packed the same records, packed.
   */
  async write(packed: PackedRecords, records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    const { mode, signal, schema } = options;
    signal.throwIfAborted();
    if (!this.#takesBatches) throw this.#lost();
    const batch = this.#batches++;
    const abort = () => this.#tell({ kind: "abort", batch });
    const forget = onAbort(signal, abort);
    this.#worker.ref();
    try {
      const { written, skipped, failures } = await new Promise<PackedResult>((resolve, reject) => {
        this.#waiting.set(batch, { resolve, reject });
        this.#tell({ kind: "write", batch, records: packed, mode, schema });
      });
      return {
        ...{ written, skipped },
        failures: failures.map(({ index, error }) => ({ index, id: records[index]!.id, error: unpackError(error) })),
      };
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      forget();
      this.#waiting.delete(batch);
      if (this.#waiting.size === 0) this.#worker.unref();
    }
  }

  /** Ends the thread when what it was given is written. */
  async close(): Promise<void> {
    // Until it is ready it holds the process by itself, and lets go of it then.
    await this.ready.catch(() => {});
    this.#worker.ref();
    this.#tell({ kind: "close" });
    await this.#ended;
  }

  #answer(message: Exclude<FromThread, { kind: "ready" }>): void {
    const waiting = this.#waiting.get(message.batch);
    if (message.kind === "written") waiting?.resolve(message.result);
    else waiting?.reject(unpackError(message.error));
  }

  #tell(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #fail(): void {
    this.#takesBatches = false;
    for (const { reject } of this.#waiting.values()) reject(this.#lost());
  }

  #lost(): P2PError {
    return new P2PError("CONNECTION_LOST", `The thread that wrote ${this.#label} ended; try again`, {
      retryable: true,
    });
  }
}

/** What is unpacked is garbage as soon as it is bound: more room for it takes 40 MB more memory, and no less time. */
const YOUNG_MB = 12;

/** Beside this file, in the sources as in the package. A bundle in the form of CommonJS has no address. */
function threadFile(): URL {
  const here: string | undefined = import.meta.url;
  if (here === undefined) throw new Error("the bundle leaves out the file of the thread");
  return new URL(here.endsWith(".ts") ? "./writer-thread.ts" : "./writer-thread.js", here);
}
