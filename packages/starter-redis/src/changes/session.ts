/** Change data capture from Redis: one session of listening to all servers of an endpoint, from its start to the first break. */
import { randomUUID } from "node:crypto";
import { isP2PError, messageOf, P2PError } from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import { ChangeLog } from "./change-log.ts";
import { type Listening, listen, NOTIFICATIONS, TRACKING, type Way } from "./listening.ts";
import { missingFlags, notificationsOff } from "./notification-flags.ts";
import { addressOf, areTold, askSigns, assertNoEvictions, missedBetween, type Signs } from "./server-signs.ts";

/** Time between two looks at what no message tells, in ms. */
const LOOK_MS = 1000;
/** Bytes of names that wait to be acknowledged, at most; beyond, reading the source anew costs less. */
const MOST_BYTES = 256 * 1024 * 1024;

/** Never aborts. */
const FOREVER = new AbortController().signal;

/** What a session ends with, whatever may have been missed. */
export function changesLost(label: string, why: string): P2PError {
  return new P2PError("CHANGES_LOST", `Changes of ${label} may have been missed: ${why}. A mirror makes up for them`);
}

/** Listens to the changes of an endpoint. Redis keeps no log of them, so whatever breaks ends the session for good. */
export class Session {
  readonly id: string = randomUUID();
  readonly log: ChangeLog = new ChangeLog();
  readonly way: Way;
  readonly startedAt: number = performance.now();
  /** When a change was heard of last. */
  heardAt: Date | undefined;
  readonly #keyspace: Keyspace;
  readonly #label: string;
  readonly #listenings: Listening[] = [];
  readonly #ended = new AbortController();
  #readers = 0;
  #timer: NodeJS.Timeout | undefined;

  private constructor(keyspace: Keyspace, label: string, way: Way) {
    this.#keyspace = keyspace;
    this.#label = label;
    this.way = way;
  }

  /**
   * Begins to listen, by tracking, else by notifications where they are turned on.
   *
   * @throws P2PError `CHANGES_UNAVAILABLE` with what would turn either on
   */
  static async open(keyspace: Keyspace, label: string, signal: AbortSignal): Promise<Session> {
    assertReadsPrimary(keyspace, label);
    const { settings } = keyspace;
    const before = await askSigns(keyspace, signal);
    assertEvictions(keyspace, before, label);
    try {
      return await Session.#listening(keyspace, label, TRACKING, signal);
    } catch (error) {
      if (!isP2PError(error, "READ_FAILED")) throw error;
      const flags = await missingFlags(keyspace, signal);
      if (flags !== "" || !areTold(before)) throw notificationsOff(settings, label, error, flags, areTold(before));
      return await Session.#listening(keyspace, label, NOTIFICATIONS, signal).catch((second: unknown) => {
        if (!isP2PError(second, "READ_FAILED")) throw second;
        throw notificationsOff(settings, label, error, second, true);
      });
    }
  }

  static async #listening(keyspace: Keyspace, label: string, way: Way, signal: AbortSignal) {
    const session = new Session(keyspace, label, way);
    try {
      const nodes = keyspace.link.topology.masters();
      const hearer = {
        changed: (key: Key) => session.#changed(key),
        flushed: () => session.#lose("all keys of a database were flushed at one stroke, which names none of them"),
        broken: (reason: string) => session.#lose(`the connection by which they are told broke: ${reason}`),
      };
      for (const node of nodes) {
        session.#listenings.push(await listen(node, way, keyspace, hearer, keyspace.link.timeoutMs, signal));
      }
      const signs = await askSigns(keyspace, signal);
      // What was to be missed before this moment is behind nobody's position; another server is not listened to.
      if (nodes.map(addressOf).sort().join() !== [...signs.servers.keys()].sort().join()) {
        throw new P2PError("BUSY", `${label} is changing its servers; try again in a moment`, { retryable: true });
      }
      session.#watch(signs);
      session.assertAlive();
      return session;
    } catch (error) {
      session.close();
      // Nobody has a position in it yet, so nothing is lost: another try begins at a later moment.
      if (!isP2PError(error, "CHANGES_LOST")) throw error;
      throw new P2PError("BUSY", `Listening to ${label} was broken off as it began; try again in a moment`, {
        retryable: true,
        cause: error,
      });
    }
  }

  /** @throws P2PError what it has ended with */
  assertAlive(): void {
    this.#ended.signal.throwIfAborted();
  }

  /** Aborts when the session has ended. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** Resolves when all servers have answered, so that what they told before is in the log. */
  async ping(): Promise<void> {
    try {
      await Promise.all(this.#listenings.map((listening) => listening.ping()));
    } catch (error) {
      this.#lose(`the connection by which they are told broke: ${messageOf(error)}`);
    }
    this.assertAlive();
  }

  /** Keeps the process running until the function that is returned is called. */
  hold(): () => void {
    this.#readers++;
    this.#timer?.ref();
    return () => {
      if (--this.#readers === 0) this.#timer?.unref();
    };
  }

  /** Ends it; whoever reads is told so. */
  close(reason: P2PError = new P2PError("CLOSED", `The feed of changes of ${this.#label} has been closed`)): void {
    clearTimeout(this.#timer);
    // Also when it has ended before: it may have done so while it began, and a connection came up after that.
    for (const listening of this.#listenings.splice(0)) listening.close();
    this.#ended.abort(reason);
  }

  #changed(key: Key): void {
    this.heardAt = new Date();
    this.log.add(key);
    if (this.log.bytes > MOST_BYTES) this.#lose("more keys have changed than wait here to be read and acknowledged");
  }

  #lose(why: string): void {
    this.close(changesLost(this.#label, why));
  }

  /** Looks from time to time, and makes sure that the connections are alive. */
  #watch(first: Signs): void {
    let last = first;
    const look = async () => {
      try {
        const [signs, flags] = await Promise.all([
          askSigns(this.#keyspace, FOREVER),
          this.#missingFlags(),
          this.ping(),
        ]);
        const silenced = flags === "" ? undefined : "notify-keyspace-events was changed, so that not all are told";
        const missed = missedBetween(last, signs, !this.way.tellsFlushes) ?? silenced;
        if (missed !== undefined) this.#lose(missed);
        assertEvictions(this.#keyspace, signs, this.#label);
        last = signs;
      } catch (error) {
        if (isP2PError(error, "CHANGES_UNAVAILABLE")) this.close(error);
        // Whether the way by which records are read is broken, their reader is told; this one lives or has been told.
      }
      this.#schedule(look);
    };
    this.#schedule(look);
  }

  /** Notifications can be turned off while somebody listens, and then there is silence. */
  async #missingFlags(): Promise<string | undefined> {
    return this.way === NOTIFICATIONS ? missingFlags(this.#keyspace, FOREVER) : "";
  }

  #schedule(look: () => Promise<void>): void {
    if (this.ended.aborted) return;
    this.#timer = setTimeout(look, LOOK_MS);
    if (this.#readers === 0) this.#timer.unref();
  }
}

function assertEvictions({ settings }: Keyspace, signs: Signs, label: string): void {
  if (settings.evictions === "refuse") assertNoEvictions(signs, label);
}

/** What a replica shows may be older than what has been told. */
function assertReadsPrimary({ settings }: Keyspace, label: string): void {
  const { scaleReads = "master", role = "master" } = settings.ioredis;
  if (scaleReads === "master" && role === "master") return;
  throw new P2PError(
    "CHANGES_UNAVAILABLE",
    `${label} reads from replicas, which may not show a change yet when it is told: leave scaleReads and role out of the options of ioredis`,
  );
}
