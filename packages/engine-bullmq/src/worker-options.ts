import type { P2PError, P2PStarter, Transform } from "@omni/p2p-core";
import type { EngineConnection } from "./connection.ts";
import type { NamedEndpoint } from "./endpoints.ts";
import { invalid, type LetGo } from "./errors.ts";

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
  /** Partitions run at a time. Default 1: one process moves about what one core can do. */
  readonly concurrency?: number;
  /** How it is called in lists. Default: the host's name and the process id. */
  readonly name?: string;
  /** A folder of the application, whose `package.json` names the installed starters. Default: found. */
  readonly appRoot?: string;
  /** How long a worker that gives no sign of life keeps its partitions, in ms. Default 30 000. */
  readonly lockDuration?: number;
  /** How often it is looked for partitions of dead workers, in ms. Default 10 000. */
  readonly stalledInterval?: number;
  /** Before all keys in Redis; the same for all who work together. Default `{omni-p2p}`. */
  readonly prefix?: string;
}

/** What a worker tells. No event carries a secret. */
export interface TransferWorkerEvents {
  partStarted: [event: { transfer: string; part: number }];
  /** `ended` tells whether it came to its end, or why it was let go. */
  partEnded: [event: { transfer: string; part: number; ended: "done" | "failed" | LetGo }];
  /** A job that this worker cannot do and leaves to others; the error says what is missing. */
  unsuited: [event: { transfer: string; error: P2PError }];
  /** Trouble that the worker gets over by itself, such as a Redis that went away. */
  error: [error: Error];
}

/** @throws P2PError `INVALID_CONFIG` */
export function checkWorkerOptions(options: TransferWorkerOptions): void {
  if (options.connection === undefined) throw invalid('"connection" must be a Redis URL or ioredis options');
  if (typeof options.endpoints !== "object" || options.endpoints === null) {
    throw invalid('"endpoints" must be an object of endpoints by name');
  }
  for (const key of ["concurrency", "lockDuration", "stalledInterval"] as const) {
    const value = options[key];
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw invalid(`"${key}" must be a whole number from 1 up`);
    }
  }
}
