/** Polling: what servers say of themselves from time to time, for what no message tells: swapped databases, failovers, evictions. */
import { P2PError } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisLink } from "../client/link.ts";

/** What one server says; every part is absent where the user may not ask for INFO. */
interface ServerSigns {
  readonly run?: string;
  /** Calls of SWAPDB so far, and of CONFIG RESETSTAT, which begins to count anew. */
  readonly swaps?: string;
  /** Calls of FLUSHDB and FLUSHALL so far. */
  readonly flushes?: string;
  /** Commands so far. They grow, unless the counting began anew. */
  readonly commands?: number;
  /** The `maxmemory-policy` by which keys are evicted; absent when none are. */
  readonly evictsBy?: string;
}

/** What the servers of an endpoint say at one moment. */
export interface Signs {
  /** Each server that can be written, by its address. */
  readonly servers: ReadonlyMap<string, ServerSigns>;
  readonly marker: string | undefined;
}

/** Asks all servers. */
export async function askSigns({ link, settings }: Keyspace, signal: AbortSignal): Promise<Signs> {
  await link.refreshTopology(signal);
  const [servers, marker] = await Promise.all([
    Promise.all(
      link.topology
        .masters()
        .map(async (node) => [addressOf(node), signsIn(await infoOf(link, node, signal))] as const),
    ),
    settings.marker === undefined
      ? undefined
      : link
          .send("read", signal, { name: "get", args: [settings.marker] })
          .then((value) => (value === null ? undefined : String(value))),
  ]);
  return { servers: new Map(servers), marker };
}

function infoOf(link: RedisLink, node: Redis, signal: AbortSignal): Promise<string> {
  return link.info("all", signal, node);
}

/** Where a server of the endpoint is. */
export function addressOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}

function signsIn(info: string): ServerSigns {
  if (info === "") return {};
  const calls = (...commands: string[]) =>
    commands.map((command) => new RegExp(`^cmdstat_${command}:calls=(\\d+)`, "im").exec(info)?.[1] ?? "0").join(",");
  const run = /^run_id:(\w+)/m.exec(info)?.[1];
  const policy = /^maxmemory_policy:([\w-]+)/m.exec(info)?.[1];
  const evicts = /^maxmemory:[1-9]/m.test(info) && policy !== undefined && policy !== "noeviction";
  return {
    ...(run !== undefined && { run }),
    swaps: calls("swapdb", "config\\|resetstat"),
    flushes: calls("flushdb", "flushall"),
    commands: Number(/^total_commands_processed:(\d+)/m.exec(info)?.[1] ?? 0),
    ...(evicts && { evictsBy: policy }),
  };
}

/**
 * Why changes may have been missed between two looks, in half a sentence; `undefined` where nothing speaks for it.
 *
 * @param flushes whether FLUSHDB and FLUSHALL are to be seen here, since no message tells of them.
 */
export function missedBetween(before: Signs, after: Signs, flushes: boolean): string | undefined {
  if (before.marker !== undefined && before.marker !== after.marker) return "the marker is not the one that was there";
  const [old, now] = [before, after].map(({ servers }) => [...servers.keys()].sort().join(", "));
  if (old !== now) return `other servers have the keys now (${now}, before ${old})`;
  for (const [address, was] of before.servers) {
    const is = after.servers.get(address)!;
    if (was.run !== is.run) return `another server answers at ${address}, or it was started anew`;
    if (was.swaps !== is.swaps || Number(is.commands) < Number(was.commands)) {
      return "databases may have been swapped (SWAPDB), or the counters by which that is seen were set back";
    }
    if (flushes && was.flushes !== is.flushes)
      return "keys were flushed (FLUSHDB or FLUSHALL), which names none of them";
  }
  return undefined;
}

/** Whether the servers let themselves be asked for what no message tells. */
export function areTold({ servers }: Signs): boolean {
  return [...servers.values()].every(({ run }) => run !== undefined);
}

/**
 * An evicted key looks like a deleted one, and a follower would delete the record in the target: nothing but the cache was
 * full.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE`
 */
export function assertNoEvictions(signs: Signs, label: string): void {
  for (const { evictsBy } of signs.servers.values()) {
    if (evictsBy === undefined) continue;
    throw new P2PError(
      "CHANGES_UNAVAILABLE",
      `${label} evicts keys when its memory is full (maxmemory-policy ${evictsBy}), and an evicted key cannot be told from a deleted one. Set it to noeviction (CONFIG SET maxmemory-policy noeviction), or add evictions=delete to the endpoint so that evicted records leave the target too`,
    );
  }
}
