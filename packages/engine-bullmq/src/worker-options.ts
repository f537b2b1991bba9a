import type { P2PError, P2PStarter, Transform } from "@omni/p2p-core";
import type { EngineConnection } from "./connection.ts";
import { checkGuard } from "./endpoints/access.ts";
import type { NamedEndpoint } from "./endpoints/endpoints.ts";
import { invalid, type LetGo } from "./errors.ts";
import { checkSigningKey } from "./submitting/signature.ts";
import type { WorkerModule } from "./worker-module.ts";

/** What a worker is made with. */
export interface TransferWorkerOptions {
  /** Where the engine's Redis is: a URL or ioredis options. */
  readonly connection: EngineConnection;
  /** The endpoints that jobs name, with their secrets, which never leave this process. */
  readonly endpoints: Readonly<Record<string, NamedEndpoint>>;
  /** Starters to use before those that are installed. Default: none. */
  readonly starters?: readonly P2PStarter[];
  /** Transforms that jobs name. Default: none. */
  readonly transforms?: Readonly<Record<string, Transform>>;
  /**
   * A module that the worker and the processes it starts load alike: its export `workerParts`, or the function that this is,
   * gives `starters`, `transforms` and `endpoints` as these options do. What is given there can be done in a process that may
   * be killed; what needs a starter or a transform that is given here is done in the worker's own. Default: none.
   */
  readonly module?: string | URL | WorkerModule;
  /** Whether work is done in processes of their own, so that what blocks or dies takes no worker with it. Default `true`. */
  readonly isolated?: boolean;
  /** Partitions run at a time, each in a process of its own. Default 1: one process moves about what one core can do. */
  readonly concurrency?: number;
  /** How it is called in lists. Default: the host's name and the process id. */
  readonly name?: string;
  /** A folder of the application, whose `package.json` names the installed starters. Default: found. */
  readonly appRoot?: string;
  /** How long a worker that gives no sign of life keeps its partitions, in ms. Default 30 000. */
  readonly lockDuration?: number;
  /** How often it is looked for partitions of dead workers, in ms. Default 10 000. */
  readonly stalledInterval?: number;
  /** How long a process may give no sign of life before it is killed, in ms. Default: `lockDuration`. */
  readonly heartbeatTimeout?: number;
  /** How long a partition may neither read nor write anything before its process is killed, in ms. Default 300 000. */
  readonly progressTimeout?: number;
  /**
   * Deaths of processes at one place of a partition with the last of which it is given up: the try before it goes record
   * by record, and what that dies of is set aside. From 2 up. Default 3.
   */
  readonly maxDeaths?: number;
  /**
   * Keys of which one must have signed a submission, each of 32 characters or more; the others are refused. Several, so
   * that they can be changed one after the other. Default: none, and whoever may write to the engine's Redis may submit.
   */
  readonly signingKeys?: readonly string[];
  /** Before all keys in Redis; the same for all who work together. Default `{omni-p2p}`. */
  readonly prefix?: string;
}

/** What a worker tells. No event carries a secret. */
export interface TransferWorkerEvents {
  partStarted: [event: { transfer: string; part: number }];
  /** `ended` tells whether it came to its end, why it was let go, or that the process died that did it. */
  partEnded: [event: { transfer: string; part: number; ended: "done" | "failed" | "died" | LetGo }];
  /** A process died over a piece of work, or was killed since it gave no answer. The work is tried again. */
  died: [event: { transfer: string; part?: number; how: string }];
  /** A transfer that is done in the worker's own process, and why: what blocks there blocks the worker. Told once each. */
  unisolated: [event: { transfer: string; reason: string }];
  /** A job that this worker cannot do and leaves to others; the error says what is missing. */
  unsuited: [event: { transfer: string; error: P2PError }];
  /** Trouble that the worker gets over by itself, such as a Redis that went away. */
  error: [error: Error];
}

const NUMBERS = [
  "concurrency",
  "lockDuration",
  "stalledInterval",
  "heartbeatTimeout",
  "progressTimeout",
  "maxDeaths",
] as const;

/** @throws P2PError `INVALID_CONFIG` */
export function checkWorkerOptions(options: TransferWorkerOptions): void {
  if (options.connection === undefined) throw invalid('"connection" must be a Redis URL or ioredis options');
  if (typeof options.endpoints !== "object" || options.endpoints === null) {
    throw invalid('"endpoints" must be an object of endpoints by name');
  }
  for (const key of NUMBERS) {
    const value = options[key];
    const least = key === "maxDeaths" ? 2 : 1;
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw invalid(`"${key}" must be a whole number from ${least} up`);
    }
  }
  for (const [name, given] of Object.entries(options.endpoints)) checkGuard(name, given);
  if (options.isolated !== undefined && typeof options.isolated !== "boolean") {
    throw invalid('"isolated" must be true or false');
  }
  if (options.signingKeys === undefined) return;
  if (!Array.isArray(options.signingKeys) || options.signingKeys.length === 0) {
    throw invalid('"signingKeys" must be a list of keys');
  }
  for (const key of options.signingKeys) checkSigningKey(key, "signingKeys");
}
