/** A follow under watch: what it does is told as it happens, each time by this machine's clock. */
import { withCalls, wrapStores } from "@omni/p2p-chaos/wrapped-stores";
import { DefaultP2PConnectionManager, type FollowHandle, isP2PError, parseEndpoint } from "@omni/p2p-core";

/** What a follow tells while it runs, one thing at a time. */
export interface Told {
  readonly status?: string;
  /** The numbers of changes that the target has acknowledged, and when. */
  readonly wrote?: readonly number[];
  readonly at?: number;
  /** Changes that it had been told by the feed when it went live for the first time. */
  readonly collected?: number;
  readonly lost?: string;
  readonly mirrored?: boolean;
  readonly retried?: string;
  readonly error?: string;
  /** Bytes, right after a collection of garbage. */
  readonly memory?: { readonly heap: number; readonly rss: number };
}

/** What is followed, from where to where. */
export interface Followed {
  readonly source: string;
  readonly target: string;
  readonly transferId: string;
  /** Its state folder. */
  readonly folder: string;
}

/** A follow that runs. */
export interface WatchedFollow {
  readonly handle: FollowHandle;
  /** Ends its connections, too. */
  close(): Promise<void>;
}

/** As who starts a process again does, whose stores could not be reached when it began. */
const ESTABLISH_TRIES = 10;

/** Writes without an answer may land so much later, in ms: the servers are on this machine. */
const LANDS_WITHIN = 2000;

/**
 * Begins to follow.
 *
 * @param mayWrite asked before each write and delete: where it throws, the store is never asked.
 */
export async function watchedFollow(
  { source, target, transferId, folder }: Followed,
  tell: (told: Told) => void,
  mayWrite: () => void = () => {},
): Promise<WatchedFollow> {
  const manager = new DefaultP2PConnectionManager({
    appRoot: import.meta.dirname,
    config: { connection_timeout: 5000 },
  });
  await wrapStores(manager, [parseEndpoint(target).storageType], (service) =>
    withCalls(service, {
      async writeToTarget(records, options) {
        mayWrite();
        const result = await service.writeToTarget(records, options);
        tell({ wrote: records.map(({ change }) => Number(change)), at: Date.now() });
        return result;
      },
      async deleteFromTarget(refs, options) {
        mayWrite();
        return service.deleteFromTarget!(refs, options);
      },
      rawTarget: undefined,
    }),
  );
  const connection = await established(manager, source, target);
  const handle = connection.follow(
    {},
    {
      ...{ transferId, checkpoint: folder, deadLetters: false, maxDeletes: "all" },
      ...{ landsWithin: LANDS_WITHIN, reconnectTimeout: 30_000 },
    },
  );
  tell({ status: handle.status });
  let wasLive = false;
  handle.events.on("status", ({ to }) => {
    tell({ status: to, ...(to === "live" && !wasLive && { collected: handle.counts.changes }) });
    wasLive ||= to === "live";
  });
  handle.events.on("lost", ({ error }) => tell({ lost: error.message }));
  handle.events.on("mirrored", () => tell({ mirrored: true }));
  handle.events.on("retry", ({ error }) => tell({ retried: error.message }));
  return { handle, close: () => manager.close({ drainTimeout: 0 }) };
}

async function established(manager: DefaultP2PConnectionManager, source: string, target: string) {
  for (let tries = 1; ; tries++) {
    try {
      return await manager.establish(source, target);
    } catch (error) {
      if (tries === ESTABLISH_TRIES || !isP2PError(error)) throw error;
    }
  }
}
