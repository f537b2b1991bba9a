/** A pool of child processes, in which work can be killed. */
import { type ChildProcess, fork } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { EndpointInput } from "@omni/p2p-core";
import { P2PError } from "@omni/p2p-core";
import { LetGoError } from "../errors.ts";
import type { Executor, Work } from "../jobs/executor.ts";
import { ProcessDied, type Whereabouts } from "../jobs/process-died.ts";
import type { DistributedResult } from "../protocol.ts";
import { type FromProcess, type ProcessStart, packError, type ToProcess, unpackError } from "./messages.ts";

/** How long a process may take until it is ready, in ms, whatever it is allowed later. */
const START_MS = 30_000;
/** How long a process that is told to stop may take to do so, in ms. */
const STOP_MS = 8000;
/** How often a process gives a sign of life, in ms, at most. */
const BEAT_MS = 500;
/** Flags of this process that are not for those it starts. */
const OWN_FLAG = /^(--inspect|--eval|-e$|--print|-p$|-pe$|--input-type|--test|--watch|--check|-c$|--interactive|-i$)/;

/** What the processes of a worker are made with. */
export interface WorkPoolOptions extends Omit<ProcessStart, "beatMs" | "script" | "parent"> {
  /** How long a process may give no sign of life, in ms. */
  readonly heartbeatTimeout: number;
  /** How long a partition may neither read nor write anything, in ms. */
  readonly progressTimeout: number;
  /** The endpoint of a name, with its secrets. */
  readonly find: (name: string) => Promise<EndpointInput | undefined>;
  readonly tell: (name: string, event: unknown) => void;
}

/** The file that such a process runs; nothing where there is none, as in an application that was bundled into one file. */
function processFile(): string | undefined {
  // Bundlers that make CommonJS leave this empty.
  const here: string | undefined = import.meta.url;
  if (!here?.startsWith("file:")) return undefined;
  const file = fileURLToPath(new URL(here.endsWith(".ts") ? "../work-process.ts" : "./work-process.js", here));
  return existsSync(file) ? file : undefined;
}

/** Why no processes can be started with these options; nothing when they can. */
export function poolTrouble(options: { readonly connection: unknown; readonly module: unknown }): string | undefined {
  if (processFile() === undefined) return "the engine's own files are not there, as in a bundle of one file";
  try {
    structuredClone(options);
    return undefined;
  } catch {
    return 'the "connection" holds functions, which cannot be passed to another process';
  }
}

/** Does work in processes of their own, of which each is used again and again until it dies. */
export class WorkPool implements Executor {
  readonly #options: WorkPoolOptions;
  readonly #idle: WorkProcess[] = [];
  readonly #all = new Set<WorkProcess>();

  constructor(options: WorkPoolOptions) {
    this.#options = options;
  }

  async run(work: Work, stop: AbortSignal): Promise<DistributedResult | undefined> {
    stop.throwIfAborted();
    const process = this.#idle.pop() ?? this.#start();
    try {
      return await process.run(work, stop);
    } finally {
      if (process.usable) this.#idle.push(process);
    }
  }

  #start(): WorkProcess {
    const started = new WorkProcess(processFile()!, this.#options, () => {
      this.#all.delete(started);
      const at = this.#idle.indexOf(started);
      if (at >= 0) this.#idle.splice(at, 1);
    });
    this.#all.add(started);
    return started;
  }

  /** Ends all processes, at once. */
  close(): void {
    for (const process of this.#all) process.kill();
  }
}

/** What is being done, and what becomes of it. */
interface Task {
  readonly work: Work;
  readonly resolve: (result: DistributedResult | undefined) => void;
  readonly reject: (error: unknown) => void;
  at: Whereabouts | undefined;
  /** Set once it was told to stop: how it ends then is nobody's fault. */
  stopped: Error | undefined;
}

const living = new Set<WorkProcess>();

/** They die with this process, in whatever way it ends; when it is killed they notice by themselves. */
function endWithMe(): void {
  for (const process of living) process.kill();
}

/** One process. */
class WorkProcess {
  readonly #options: WorkPoolOptions;
  readonly #child: ChildProcess;
  readonly #ready = Promise.withResolvers<void>();
  readonly #watch: NodeJS.Timeout;
  readonly #onExit: () => void;
  #isReady = false;
  #task: Task | undefined;
  #killedSince: string | undefined;
  #signAt = performance.now();
  #progress = 0;
  #progressAt = performance.now();
  #lookedAt = performance.now();
  #gone = false;

  constructor(file: string, options: WorkPoolOptions, onExit: () => void) {
    this.#options = options;
    this.#onExit = onExit;
    this.#child = fork(file, {
      execArgv: process.execArgv.filter((flag) => !OWN_FLAG.test(flag)),
      serialization: "advanced",
      // What it prints is shown as what the worker prints.
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    this.#ready.promise.catch(() => {});
    if (living.size === 0) process.on("exit", endWithMe);
    living.add(this);
    this.#child.on("message", (message) => this.#hear(message as FromProcess));
    this.#child.on("error", (error) => this.#ended(`it could not be started: ${error.message}`));
    this.#child.on("exit", (code, signal) => {
      this.#ended(this.#killedSince ?? (signal ? `it was ended by ${signal}` : `it ended with exit code ${code}`));
    });
    const beatMs = Math.max(10, Math.min(BEAT_MS, Math.floor(options.heartbeatTimeout / 4)));
    this.#watch = setInterval(() => this.#look(beatMs), beatMs);
    const { connection, prefix, name, appRoot, module, maxDeaths, signed } = options;
    const script = process.argv[1];
    this.#say({
      kind: "start",
      start: { connection, prefix, name, appRoot, module, maxDeaths, signed, beatMs, script, parent: process.pid },
    });
  }

  /** Whether another piece of work can be given to it. */
  get usable(): boolean {
    return !this.#gone && this.#isReady && this.#task === undefined && this.#killedSince === undefined;
  }

  async run(work: Work, stop: AbortSignal): Promise<DistributedResult | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<DistributedResult | undefined>();
    this.#task = { work, resolve, reject, at: undefined, stopped: undefined };
    this.#signAt = performance.now();
    let late: NodeJS.Timeout | undefined;
    const end = () => {
      if (!this.#task) return;
      this.#task.stopped = stop.reason as Error;
      this.#say({ kind: "stop", reason: packError(stop.reason) });
      late = setTimeout(() => this.kill("it did not stop when it was told to"), STOP_MS);
    };
    this.#ready.promise.then(
      () => {
        if (stop.aborted) return this.#settle((task) => task.reject(stop.reason));
        this.#progressAt = performance.now();
        this.#say({ kind: "run", work });
        stop.addEventListener("abort", end, { once: true });
      },
      (error) => this.#settle((task) => task.reject(error)),
    );
    try {
      return await promise;
    } finally {
      clearTimeout(late);
      stop.removeEventListener("abort", end);
    }
  }

  /** Ends it at once. */
  kill(since = CLOSED): void {
    this.#killedSince ??= since;
    this.#child.kill("SIGKILL");
  }

  #say(message: ToProcess): void {
    // What cannot be said to a process that is dying is of no use to it.
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #hear(message: FromProcess): void {
    this.#signAt = performance.now();
    switch (message.kind) {
      case "ready":
        this.#isReady = true;
        this.#ready.resolve();
        break;
      case "unable":
        this.#ready.reject(unpackError(message.error));
        this.kill("it could not be made ready");
        break;
      case "beat":
        if (message.progress !== this.#progress) this.#progressAt = performance.now();
        this.#progress = message.progress;
        break;
      case "at":
        if (this.#task) this.#task.at = message.at;
        this.#progressAt = performance.now();
        break;
      case "tell":
        this.#options.tell(message.name, message.event);
        break;
      case "ask":
        void this.#answer(message.ask, message.name);
        break;
      case "done":
        this.#settle((task) => task.resolve(message.result));
        break;
      case "failed":
        this.#settle((task) => task.reject(unpackError(message.error)));
        break;
    }
  }

  async #answer(ask: number, name: string): Promise<void> {
    try {
      this.#say({ kind: "endpoint", ask, endpoint: plain(name, await this.#options.find(name)) });
    } catch (error) {
      this.#say({ kind: "endpoint", ask, error: packError(error) });
    }
  }

  /** Looks whether it still answers, and kills it when it does not. */
  #look(everyMs: number): void {
    const now = performance.now();
    // When this process itself stood still, what the other one said meanwhile has not been heard yet.
    const stoodStill = now - this.#lookedAt > everyMs * 3 + 200;
    this.#lookedAt = now;
    if (stoodStill) {
      this.#signAt = Math.max(this.#signAt, now - this.#options.heartbeatTimeout / 2);
      return;
    }
    const { heartbeatTimeout, progressTimeout } = this.#options;
    const most = this.#isReady ? heartbeatTimeout : Math.max(heartbeatTimeout, START_MS);
    const silent = now - this.#signAt;
    const idle = now - this.#progressAt;
    // A comparison of both sides tells nothing of how it is getting on.
    const mayIdle = !this.#isReady || this.#task === undefined || this.#task.work.kind === "sum";
    if (silent > most) this.kill(`it gave no sign of life for ${inSeconds(silent)} and was killed`);
    else if (!mayIdle && idle > progressTimeout) this.kill(`nothing moved for ${inSeconds(idle)} and it was killed`);
  }

  #settle(how: (task: Task) => void): void {
    const task = this.#task;
    this.#task = undefined;
    if (task) how(task);
  }

  #ended(how: string): void {
    if (this.#gone) return;
    this.#gone = true;
    clearInterval(this.#watch);
    living.delete(this);
    if (living.size === 0) process.off("exit", endWithMe);
    this.#ready.reject(
      new P2PError("BUSY", `A process of this worker could not be made ready: ${how}`, { retryable: true }),
    );
    this.#settle(({ stopped, reject, at }) =>
      reject(stopped ?? (this.#killedSince === CLOSED ? closed() : new ProcessDied(how, at))),
    );
    this.#onExit();
  }
}

const CLOSED = "its worker was closed";

function closed(): LetGoError {
  return new LetGoError("closing", "The worker is closed");
}

function inSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** @throws P2PError `INVALID_ENDPOINT` for what cannot be passed to another process. */
function plain(name: string, endpoint: EndpointInput | undefined): EndpointInput | undefined {
  try {
    return structuredClone(endpoint);
  } catch (cause) {
    throw new P2PError(
      "INVALID_ENDPOINT",
      `The endpoint "${name}" holds what cannot be passed to another process, such as a function; give data alone, or set "isolated" to false`,
      { cause },
    );
  }
}
