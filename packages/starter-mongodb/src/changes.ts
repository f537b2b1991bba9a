/** Change data capture: MongoDB's change streams name the documents that were written or deleted after a resume token. */
import {
  type ChangeBatch,
  type ChangeFeed,
  type ChangeReadOptions,
  type ChangeStatus,
  isP2PError,
  type JsonValue,
  P2PError,
  sleep,
  unlessAborted,
  unlessLate,
} from "@omni/p2p-core/starter";
import type { ChangeStream, ReadConcern, Timestamp } from "mongodb";
import { type ChangeEvent, EVENT_FIELDS, isHarmless, refOf } from "./changes/event.ts";
import { type ChangePosition, parsePosition, writePosition } from "./changes/position.ts";
import { streamError } from "./changes/stream-error.ts";
import { collectionNotFound, findCollection } from "./client/collections.ts";
import type { OpenCollection } from "./query/open-collection.ts";

/** Events in a batch at most. */
const BATCH_EVENTS = 1000;
/** Longest time in ms for which the server keeps a question waiting, so that an abort does not wait for long either. */
const LONGEST_WAIT_MS = 1000;
/** Longest time in ms that a server may take beyond what it was told to wait: a connection that nobody has closed may be dead. */
const NO_ANSWER_MS = 15_000;
/** Pause in ms before a server is asked again that gave an empty answer at once. */
const POLL_MS = 50;
const AT_ONCE_MS = 20;

/** Reads what comes after a point in a change stream: majority-committed changes alone, in the order of their commits. */
export function mongodbChangeFeed(opened: OpenCollection, follows: (opened: OpenCollection) => void): ChangeFeed {
  /** The time of the newest change that was named: look-ups must see it. */
  let seen: Timestamp | undefined;

  function see(time: Timestamp | undefined): void {
    if (time !== undefined && (seen === undefined || time.greaterThan(seen))) seen = time;
  }

  return {
    async now(_follower, signal) {
      signal.throwIfAborted();
      assertStreamable(opened);
      const stream = openStream(opened, undefined, 1);
      try {
        const late = () => noAnswer(opened, NO_ANSWER_MS);
        const position = await unlessLate(unlessAborted(positionNow(stream, opened), signal), NO_ANSWER_MS, late);
        see(position.time);
        follows(asFollowed(opened, seen));
        return writePosition(position);
      } catch (error) {
        signal.throwIfAborted();
        throw streamError(error, opened);
      } finally {
        stream.close().catch(() => {});
      }
    },

    async *read(options: ChangeReadOptions): AsyncGenerator<ChangeBatch> {
      options.signal.throwIfAborted();
      assertStreamable(opened);
      for await (const batch of readStream(opened, options)) {
        see(batch.time);
        yield batch.told;
      }
    },

    async visible(position, signal) {
      signal.throwIfAborted();
      see(parsePosition(position, opened.bson).time);
      follows(asFollowed(opened, seen));
    },
  };
}

/**
 * The collection as a follower must read it: of the majority, since what is not yet sure may be undone without an event, and
 * not before the newest change that it was told of.
 */
function asFollowed(opened: OpenCollection, seen: Timestamp | undefined): OpenCollection {
  const { db, collection } = opened;
  const { level = "majority" } = collection.readConcern ?? {};
  const sure = level === "local" || level === "available" ? "majority" : level;
  return {
    ...opened,
    collection: db.collection(collection.collectionName, { readConcern: { level: sure } as ReadConcern }),
    ...(seen && { readAfter: seen }),
  };
}

/** @throws P2PError `CHANGES_UNAVAILABLE` for what has no stream on any server. */
function assertStreamable({ dialect, deletable, label, collection }: OpenCollection): void {
  if (!dialect.complete) throw unavailable(`${label} is ${dialect.product}, which has no change streams`);
  if (deletable) return;
  throw unavailable(
    `${JSON.stringify(collection.collectionName)} in ${label} is a view or a time series, of which MongoDB tells no changes: name the collection under it`,
  );
}

function unavailable(message: string): P2PError {
  return new P2PError("CHANGES_UNAVAILABLE", message);
}

function openStream(
  { collection, bson }: OpenCollection,
  after: ChangePosition | undefined,
  maxAwaitTimeMS: number,
): ChangeStream<never, ChangeEvent> {
  const projection = Object.fromEntries(EVENT_FIELDS.map((field) => [field, 1]));
  return collection.watch<never, ChangeEvent>([{ $project: projection }], {
    batchSize: BATCH_EVENTS,
    maxAwaitTimeMS,
    readConcern: { level: "majority" },
    // A long stays one, since it is a bigint here.
    promoteLongs: false,
    ...(after?.token && { resumeAfter: bson.EJSON.deserialize(after.token as never) }),
    ...(after && !after.token && after.time && { startAtOperationTime: after.time }),
  });
}

/** Where an opened stream stands: its token, and the server's time where it tells no token before the first event. */
async function positionNow(stream: ChangeStream<never, ChangeEvent>, opened: OpenCollection): Promise<ChangePosition> {
  const { bson, db } = opened;
  let token: unknown;
  stream.on("resumeTokenChanged", (changed) => {
    token ??= changed;
  });
  // The first answer is that of the aggregation: nobody has waited then.
  const first = stream.tryNext();
  first.catch(() => {});
  const [hello] = await Promise.all([db.command({ hello: 1 }), first]);
  const time = operationTimeOf(hello);
  token ??= stream.resumeToken;
  if (token === undefined && time === undefined) {
    throw unavailable(
      `${opened.label} tells neither a resume token nor its operation time, so nothing says where to begin`,
    );
  }
  return {
    ...(token !== undefined && token !== null ? { token: bson.EJSON.serialize(token) as JsonValue } : {}),
    ...(time && { time }),
  };
}

function operationTimeOf({ operationTime }: { readonly operationTime?: Timestamp }): Timestamp | undefined {
  return operationTime;
}

interface StreamBatch {
  readonly told: ChangeBatch;
  readonly time: Timestamp | undefined;
}

async function* readStream(
  opened: OpenCollection,
  { after, maxWaitMs, signal }: ChangeReadOptions,
): AsyncGenerator<StreamBatch> {
  let position = parsePosition(after, opened.bson);
  const waitMs = Math.max(1, Math.min(maxWaitMs, LONGEST_WAIT_MS));
  const stream = openStream(opened, position, waitMs);
  try {
    let silentSince = performance.now();
    for (;;) {
      const asked = performance.now();
      const late = () => noAnswer(opened, waitMs + NO_ANSWER_MS);
      const events = await unlessLate(unlessAborted(nextEvents(stream), signal), waitMs + NO_ANSWER_MS, late);
      const refs = [];
      let committedAt: Date | undefined;
      let { time } = position;
      for (const event of events) {
        const ref = refOf(event, opened);
        if (ref !== undefined) refs.push(ref);
        else if (!isHarmless(event)) throw await endedBy(event, opened, signal);
        time = event.clusterTime ?? time;
        committedAt = event.wallTime ?? (event.clusterTime && new Date(event.clusterTime.getHighBits() * 1000));
      }
      const token = stream.resumeToken;
      position = {
        ...(token === undefined || token === null
          ? position
          : { token: opened.bson.EJSON.serialize(token) as JsonValue }),
        ...(time && { time }),
      };
      if (events.length > 0 || performance.now() - silentSince >= maxWaitMs) {
        const cursor = writePosition(position);
        yield { told: { refs, cursor, ...(committedAt && { committedAt }) }, time };
        signal.throwIfAborted();
        silentSince = performance.now();
      } else if (performance.now() - asked < AT_ONCE_MS) await sleep(Math.min(POLL_MS, waitMs), signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw streamError(error, opened);
  } finally {
    stream.close().catch(() => {});
  }
}

/** After it the stream is opened anew from the last position. */
function noAnswer({ label }: OpenCollection, ms: number): P2PError {
  return new P2PError("CONNECTION_LOST", `${label} has not answered a question for changes within ${ms} ms`, {
    retryable: true,
  });
}

/** All events of one answer of the server; none where it had nothing to tell. */
async function nextEvents(stream: ChangeStream<never, ChangeEvent>): Promise<ChangeEvent[]> {
  const first = await stream.tryNext();
  if (first === null) return [];
  const events = [first];
  // What the driver has got already; it tells so in its types for other cursors alone.
  const { cursor } = stream as unknown as { readonly cursor: { bufferedCount(): number } };
  while (cursor.bufferedCount() > 0 && events.length < BATCH_EVENTS) {
    const next = await stream.tryNext();
    if (next === null) break;
    events.push(next);
  }
  return events;
}

/** The collection was dropped, renamed or replaced: that names no ids, and nothing is to be deleted for it. */
async function endedBy(event: ChangeEvent, opened: OpenCollection, signal: AbortSignal): Promise<P2PError> {
  const { collection, db, label } = opened;
  const name = collection.collectionName;
  if (!ENDING.has(event.operationType)) {
    return new P2PError(
      "CHANGES_LOST",
      `The change stream of ${label} tells of "${event.operationType}", which names no ids. A mirror makes up for it`,
    );
  }
  if ((await findCollection(db, name, signal)) === undefined) return collectionNotFound(name, label);
  return new P2PError(
    "STORE_CHANGED",
    `The collection ${JSON.stringify(name)} in ${label} was dropped or renamed (${event.operationType}), and another one has its name now. Nothing was deleted; begin anew if that is the one that is meant`,
  );
}

/** Events after which a stream has no more. */
const ENDING: ReadonlySet<string> = new Set(["drop", "rename", "dropDatabase", "invalidate"]);

/** How it stands with the changes of a collection: found out by opening a stream. */
export async function changeStatus(opened: OpenCollection, signal: AbortSignal): Promise<ChangeStatus> {
  try {
    await mongodbChangeFeed(opened, () => {}).now("status", signal);
  } catch (error) {
    if (!isP2PError(error, "CHANGES_UNAVAILABLE")) throw error;
    return { state: "unavailable", detail: error.message, kept: [], warnings: [] };
  }
  return {
    state: "on",
    detail: "MongoDB tells of changes by change streams; nothing is to be turned on, and nothing is kept for followers",
    kept: [],
    warnings: [
      "A follower that was away for longer than the oplog reaches back has to mirror: see rs.printReplicationInfo() for how long that is",
    ],
  };
}

/** There is nothing to turn on but the replica set, which is nobody's business but the administrator's. */
export async function enableChanges(opened: OpenCollection, signal: AbortSignal): Promise<ChangeStatus> {
  const status = await changeStatus(opened, signal);
  if (status.state !== "on") throw unavailable(status.detail);
  return status;
}
