import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { makeNamespace, type Namespace, namespaceTrouble } from "./namespaces.ts";
import type { ChildOrders } from "./worker-child.ts";

/** What a fleet is made with. */
export interface FleetOptions {
  readonly connection: string;
  readonly prefix: string;
  readonly endpoints: Readonly<Record<string, string>>;
  readonly workers: number;
  /** Each worker in a network namespace of its own, where that can be. Default `false`. */
  readonly namespaces?: boolean;
  readonly lockDuration?: number;
  readonly stalledInterval?: number;
  /** Partitions that a worker runs at a time. Default 1. */
  readonly concurrency?: number;
}

/** Workers, each in a process of its own, that can be killed and come back. */
export class Fleet {
  readonly #options: FleetOptions;
  readonly #places: (Namespace | undefined)[];
  readonly #children: (ChildProcess | undefined)[] = [];
  /** Why they share this machine's network; nothing when each has its own. */
  readonly shared: string | undefined;
  #started = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    this.shared = options.namespaces ? namespaceTrouble() : "not asked for";
    this.#places = Array.from({ length: options.workers }, () =>
      this.shared === undefined ? makeNamespace() : undefined,
    );
  }

  async start(): Promise<void> {
    await Promise.all(this.#places.map((_, slot) => this.#start(slot)));
  }

  async #start(slot: number): Promise<void> {
    const place = this.#places[slot];
    const {
      connection,
      prefix,
      endpoints,
      lockDuration = 2000,
      stalledInterval = 500,
      concurrency = 1,
    } = this.#options;
    const from = async (url: string) => (place ? place.urlFrom(url) : url);
    const named = await Promise.all(
      Object.entries(endpoints).map(async ([name, url]) => [name, url.startsWith("sqlite:") ? url : await from(url)]),
    );
    const orders: ChildOrders = {
      ...{ connection: await from(connection), prefix, lockDuration, stalledInterval, concurrency },
      name: `worker-${++this.#started}`,
      endpoints: Object.fromEntries(named),
    };
    const command = [process.execPath, join(import.meta.dirname, "worker-child.ts")];
    if (place) command.unshift("ip", "netns", "exec", place.name);
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...process.env, P2P_WORKER_ORDERS: JSON.stringify(orders) },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children[slot] = child;
    const [line] = (await Promise.race([
      once(createInterface(child.stdout!), "line"),
      once(child, "exit").then(() => ["it ended"]),
    ])) as [string];
    if (line !== "ready") throw new Error(`A worker does not start: ${line}`);
  }

  /** Kills a worker without warning, and starts another in its place. */
  async kill(slot: number): Promise<void> {
    const child = this.#children[slot];
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await this.#start(slot);
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (!child || child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }
    for (const place of this.#places) await place?.remove();
  }
}
