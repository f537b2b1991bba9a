/** Change data capture: Redis names the keys that change while somebody listens, and keeps no log of them. */
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  type ChangeStatus,
  cursorPosition,
  foreignCursor,
  type IdRef,
  isP2PError,
  type JsonValue,
  P2PError,
  sleep,
  storeCursor,
  unlessAborted,
} from "@omni/p2p-core/starter";
import { addFlags, missingFlags } from "./changes/notification-flags.ts";
import { changesLost, Session } from "./changes/session.ts";
import { type Key, keySuffix } from "./client/keys.ts";
import type { Keyspace } from "./client/keyspace.ts";
import { isOwnKey } from "./client/leases.ts";
import { STORE } from "./types.ts";

/** Keys in a batch at most. */
const BATCH_KEYS = 1000;
/** A session that lasted for so long, in ms, has not broken at once. */
const LASTING_MS = 60_000;
/** Sessions that may break at once before the next one has to wait. */
const FREE_BREAKS = 2;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** The feed of an open endpoint; `close` ends what it listens by. */
export interface RedisChangeFeed extends ChangeFeed {
  close(): void;
}

/** Sessions of a follower that broke soon after they began, one after the other. */
interface Following {
  session: Session | undefined;
  breaks: number;
}

/** Makes the feed. It opens connections when somebody follows. */
export function redisChangeFeed(keyspace: Keyspace, label: string): RedisChangeFeed {
  const followings = new Map<string, Following>();

  /** Each break costs a mirror, so a server that breaks every session at once is not asked in a loop. */
  async function pause(following: Following, signal: AbortSignal): Promise<void> {
    const { session } = following;
    if (session === undefined) return;
    following.session = undefined;
    following.breaks = performance.now() - session.startedAt < LASTING_MS ? following.breaks + 1 : 0;
    const times = following.breaks - FREE_BREAKS;
    if (times > 0) await sleep(Math.min(FIRST_PAUSE_MS * 2 ** (times - 1), LONGEST_PAUSE_MS), signal);
  }

  async function now(follower: string, signal: AbortSignal): Promise<JsonValue> {
    signal.throwIfAborted();
    const following = followings.get(follower) ?? { session: undefined, breaks: 0 };
    followings.set(follower, following);
    const alive = following.session;
    if (alive !== undefined && !alive.ended.aborted) {
      const isAlive = await unlessAborted(alive.ping(), signal).then(
        () => true,
        () => signal.throwIfAborted(),
      );
      if (isAlive) return positionOf(alive);
    }
    await pause(following, signal);
    const session = await Session.open(keyspace, label, signal);
    // It was released or closed meanwhile, and nobody would end what has begun to listen.
    if (followings.get(follower) !== following) {
      session.close();
      session.assertAlive();
    }
    following.session = session;
    return positionOf(session);
  }

  async function* read({ follower, after, maxWaitMs, signal }: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
    signal.throwIfAborted();
    const position = parsePosition(after);
    const session = followings.get(follower)?.session;
    if (session === undefined || session.id !== position.session) {
      throw changesLost(label, "Redis keeps no log of them, and the connection that heard of them is gone");
    }
    session.assertAlive();
    const reader = session.log.reader(position.sequence);
    if (reader === undefined) throw changesLost(label, "they have been acknowledged and forgotten");
    const release = session.hold();
    const either = AbortSignal.any([signal, session.ended]);
    try {
      for (;;) {
        if (reader.isEmpty) await waitFor(reader.filled(), maxWaitMs, either);
        // An empty batch says that nothing has changed, so the server must have said it.
        if (reader.isEmpty) await unlessAborted(session.ping(), either);
        either.throwIfAborted();
        const { keys, sequence } = reader.take(BATCH_KEYS);
        const { heardAt } = session;
        yield {
          refs: refsOf(keys, keyspace),
          cursor: storeCursor(STORE, { session: session.id, sequence }),
          ...(keys.length > 0 && heardAt !== undefined && { committedAt: heardAt }),
        };
        either.throwIfAborted();
      }
    } finally {
      reader.close();
      release();
    }
  }

  return {
    now,
    read,
    async acknowledge(follower, position) {
      const { session, sequence } = parsePosition(position);
      const following = followings.get(follower)?.session;
      if (following?.id === session) following.log.forget(sequence);
    },
    async release(follower) {
      followings.get(follower)?.session?.close();
      followings.delete(follower);
    },
    close() {
      for (const { session } of followings.values()) session?.close();
      followings.clear();
    },
  };
}

async function waitFor(filled: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  const waited = new AbortController();
  try {
    await unlessAborted(Promise.race([filled, sleep(ms, waited.signal)]), signal);
  } finally {
    waited.abort();
  }
}

interface Position {
  readonly session: string;
  readonly sequence: number;
}

function positionOf({ id, log }: Session): JsonValue {
  return storeCursor(STORE, { session: id, sequence: log.last });
}

/** @throws P2PError `CHECKPOINT_INVALID` for what no feed of this store gave. */
function parsePosition(json: JsonValue): Position {
  const { session, sequence } = (cursorPosition(STORE, json) ?? {}) as Partial<Position>;
  if (typeof session !== "string" || typeof sequence !== "number") throw foreignCursor(STORE);
  return { session, sequence };
}

/** The records under these keys. Keys of other databases may be among them, and none of other prefixes. */
function refsOf(keys: readonly Key[], { settings: { prefix, marker } }: Keyspace): IdRef[] {
  const refs: IdRef[] = [];
  const start = Buffer.from(prefix);
  for (const key of keys) {
    const starts = typeof key === "string" ? key.startsWith(prefix) : key.indexOf(start) === 0;
    const id = keySuffix(key, prefix);
    if (!starts || id.length === 0 || isOwnKey(key, marker)) continue;
    refs.push({ id: typeof id === "string" ? id : new Uint8Array(id) });
  }
  return refs;
}

/** How it stands with the changes of an endpoint: found out by listening for a moment. */
export async function changeStatus(keyspace: Keyspace, label: string, signal: AbortSignal): Promise<ChangeStatus> {
  try {
    const session = await Session.open(keyspace, label, signal);
    session.close();
    const tracking = session.way.name === "tracking";
    return {
      state: "on",
      detail: tracking
        ? "Redis names every changed key to whoever listens (CLIENT TRACKING with BCAST); no setting is needed"
        : "Redis names every changed key by keyspace notifications (notify-keyspace-events)",
      kept: [],
      warnings: [
        "Redis keeps no log: each break of the connection, each restart of the follower and each FLUSHDB or FLUSHALL of any database costs a mirror",
        ...(keyspace.settings.evictions === "delete" ? ["Evicted keys leave the target like deleted ones"] : []),
        ...(tracking ? [] : ["A flush is noticed within about a second, by the counters of INFO commandstats"]),
      ],
    };
  } catch (error) {
    if (!isP2PError(error, "CHANGES_UNAVAILABLE")) throw error;
    // A setting that can be read can most often be set.
    const flags = await missingFlags(keyspace, signal);
    const state = flags === undefined || flags === "" ? "unavailable" : "off";
    return {
      state: isAboutNotifications(error) ? state : "unavailable",
      detail: error.message,
      kept: [],
      warnings: [],
    };
  }
}

/** Turns notifications on where tracking cannot be had. */
export async function enableChanges(keyspace: Keyspace, label: string, signal: AbortSignal): Promise<ChangeStatus> {
  const before = await changeStatus(keyspace, label, signal);
  if (before.state === "on") return before;
  if (before.state === "off") await addFlags(keyspace, label, signal);
  const after = await changeStatus(keyspace, label, signal);
  if (after.state === "on") return after;
  throw new P2PError("CHANGES_UNAVAILABLE", after.detail);
}

/** Nothing is kept for followers; the setting stays, since nobody knows who else listens. */
export async function disableChanges(keyspace: Keyspace, label: string, signal: AbortSignal): Promise<ChangeStatus> {
  const status = await changeStatus(keyspace, label, signal);
  const flags = await missingFlags(keyspace, signal);
  if (flags !== "") return status;
  const stays =
    "notify-keyspace-events stays as it is, since others may listen by it; if nobody does, turn it off by CONFIG SET notify-keyspace-events ''";
  return { ...status, warnings: [...status.warnings, stays] };
}

function isAboutNotifications({ message }: P2PError): boolean {
  return message.includes("notify-keyspace-events");
}
