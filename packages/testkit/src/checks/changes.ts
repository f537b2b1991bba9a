import {
  type ChangeBatch,
  type ChangeFeed,
  type EndpointInfo,
  type IdRef,
  idKey,
  isP2PError,
  type JsonValue,
  type P2PDataTransferService,
  type P2PId,
  type P2PRecord,
} from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { type Bench, calm, deleteRefs, lookUp, rejection, within } from "../bench.ts";
import { overWire } from "../over-wire.ts";
import { check, group, type Skip, type Suite } from "../suite.ts";
import { SOON_MS } from "./aborting.ts";
import { TYPED_IDS } from "./ids.ts";

/** After so long without a change a feed gives an empty batch here, in ms. */
const WAIT_MS = 50;

/** How long a feed may take to tell of a change, in ms. */
const TOLD_MS = 10_000;

/** How long one may take to tell of many. */
const MANY_TOLD_MS = 25_000;

const MANY = 10_000;

/** Writes of what is read in pieces. */
const PIECES = 5;

/** Who follows. */
const FOLLOWER = "conformance";

/** The feed of changes. */
export function changeChecks(suite: Suite): void {
  group("changes", () => {
    toldChecks(suite);
    positionChecks(suite);
    feedMannerChecks(suite);
    controlChecks(suite);
  });
}

/** A place with some records, its feed turned on, and a position. */
interface Followed {
  readonly place: EndpointInfo;
  readonly source: P2PDataTransferService;
  readonly target: P2PDataTransferService;
  readonly feed: ChangeFeed;
  readonly start: JsonValue;
}

async function followed(bench: Bench, skip: Skip, records: readonly P2PRecord[] = FEW): Promise<Followed> {
  const place = await bench.place();
  await bench.write(place, records);
  const { changes: control } = bench.adapter.starter;
  const enabled = await control
    ?.enable(place, { role: "target", signal: calm(), connectTimeoutMs: TOLD_MS })
    .catch((error: unknown) => error);
  const source = await bench.open(place, "source");
  const { changes: feed } = source;
  if (source.capabilities.changes !== true || feed === undefined) return skip("capabilities.changes is false");
  // A server that has no feed may say so; one that claims to have one may not.
  if (enabled instanceof Error) throw enabled;
  // A check may have closed its source, and what is closed is asked nothing.
  bench.after(async () => {
    const last = await bench.open(place, "source");
    await last.changes?.release?.(FOLLOWER, calm());
    await last.close();
    await control?.disable(place, { role: "target", signal: calm(), connectTimeoutMs: TOLD_MS });
  });
  const target = await bench.open(place, "target");
  const start = overWire(await within(TOLD_MS, "now()", feed.now(FOLLOWER, calm())));
  return { place, source, target, feed, start };
}

const FEW: readonly P2PRecord[] = ["a", "b", "c", "d"].map((id) => ({ id, n: 0 }));

async function put(target: P2PDataTransferService, ids: readonly P2PId[], n: number): Promise<void> {
  const { failures } = await target.writeToTarget(
    ids.map((id) => ({ id, n })),
    { mode: "upsert", signal: calm() },
  );
  expect(failures).toEqual([]);
}

/** Reads a feed until it has told of all these ids, and gives all that it told and its last cursor. */
async function told(
  feed: ChangeFeed,
  after: JsonValue,
  ids: readonly P2PId[],
  withinMs = TOLD_MS,
): Promise<{ readonly refs: readonly IdRef[]; readonly cursor: JsonValue }> {
  const missing = new Set(ids.map(idKey));
  const refs: IdRef[] = [];
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(new Error("over")), withinMs);
  let cursor = after;
  try {
    for await (const batch of feed.read({ follower: FOLLOWER, after, maxWaitMs: WAIT_MS, signal: over.signal })) {
      refs.push(...batch.refs);
      for (const { id } of batch.refs) missing.delete(idKey(id));
      cursor = overWire(batch.cursor);
      if (missing.size === 0) return { refs, cursor };
    }
  } catch (error) {
    if (!over.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  throw new Error(
    `after ${withinMs} ms the feed had not told of ${missing.size} of ${ids.length} changed ids: ${[...missing].slice(0, 10).join(", ")}`,
  );
}

/** Batches, one by one, until the signal ends them. */
function reading(feed: ChangeFeed, after: JsonValue, signal: AbortSignal): AsyncIterator<ChangeBatch> {
  return feed.read({ follower: FOLLOWER, after, maxWaitMs: WAIT_MS, signal })[Symbol.asyncIterator]();
}

function toldChecks(suite: Suite): void {
  check(suite, "every write, update and delete behind a position is told", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    await put(target, ["new", "a"], 1);
    const first = await told(feed, start, ["new", "a"]);
    if (target.capabilities.deletes === true) {
      await deleteRefs(target, [{ id: "b" }, { id: "new" }]);
      await told(feed, first.cursor, ["b", "new"]);
    }
  });

  check(suite, "what was changed between the position and the first read is told", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    await put(target, ["a"], 1);
    await put(target, ["b"], 2);
    await put(target, ["a"], 3);
    await told(feed, start, ["a", "b"]);
  });

  check(suite, "what is changed while the feed is read is told", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    const reader = told(feed, start, ["a", "late"]);
    await put(target, ["a"], 1);
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS * 3));
    await put(target, ["late"], 1);
    await reader;
  });

  check(suite, "what other users of the store change is told", async (bench, skip) => {
    const { place, feed, start } = await followed(bench, skip);
    const change = bench.changerOf(place);
    const remove = bench.deleterOf(place);
    if (!change && !remove) skip("the adapter's test does not say how others change a record");
    if (change) await change("a");
    if (remove) await remove(["b"]);
    await told(feed, start, [...(change ? ["a"] : []), ...(remove ? ["b"] : [])]);
  });

  check(suite, "a record that is told is found as it is then", async (bench, skip) => {
    const { source, target, feed, start } = await followed(bench, skip);
    await put(target, ["a", "new"], 7);
    const { refs, cursor } = await told(feed, start, ["a", "new"]);
    await feed.visible?.(cursor, calm());
    const outcomes = await lookUp(source, refs.map(overWire));
    for (const [at, ref] of refs.entries()) {
      const outcome = outcomes[at]!;
      if (!["a", "new"].includes(idKey(ref.id))) continue;
      expect(outcome, idKey(ref.id)).toMatchObject({ state: "wanted", record: { n: 7 } });
    }
  });

  for (const [kind, ids] of Object.entries(TYPED_IDS)) {
    check(
      suite,
      `ids that are ${kind} are told so that look-ups find them`,
      async (bench, skip) => {
        const { place, source, target, feed, start } = await followed(bench, skip, [{ id: ids[0]!, n: 0 }]);
        await put(target, ids, 1);
        const there = await bench.contents(place);
        const { refs, cursor } = await told(
          feed,
          start,
          there.map(({ id }) => id),
        );
        await feed.visible?.(cursor, calm());
        const outcomes = await lookUp(source, refs);
        const found = new Set(
          outcomes.flatMap((outcome) => (outcome.state === "wanted" ? [idKey(outcome.record.id)] : [])),
        );
        for (const { id } of there) expect(found.has(idKey(id)), `the record ${idKey(id)} is found`).toBe(true);
      },
      ["typed ids"],
    );
  }

  check(suite, "10,000 changes in a row are all told", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    const ids = Array.from({ length: MANY }, (_, i) => `many-${i}`);
    for (let from = 0; from < MANY; from += 500) await put(target, ids.slice(from, from + 500), from);
    await told(feed, start, ids, MANY_TOLD_MS);
  });
}

function positionChecks(suite: Suite): void {
  check(suite, "while nothing changes, empty batches move the position on", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    const stop = new AbortController();
    const batches = reading(feed, start, stop.signal);
    let cursor = start;
    for (let idle = 0; idle < 2; idle++) {
      const { value, done } = await within(TOLD_MS, "an empty batch", batches.next());
      expect(done).not.toBe(true);
      cursor = overWire((value as ChangeBatch).cursor);
    }
    await batches.return?.();
    stop.abort();
    await put(target, ["a"], 1);
    await told(feed, cursor, ["a"]);
  });

  check(suite, "a position that is used again tells again", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    await put(target, ["a", "b"], 1);
    await told(feed, start, ["a", "b"]);
    await toldOrLost(feed, start, ["a", "b"]);
  });

  check(suite, "a cursor serves a store that is opened anew, or is CHANGES_LOST", async (bench, skip) => {
    const { place, source, target, feed, start } = await followed(bench, skip);
    await put(target, ["a"], 1);
    const { cursor } = await told(feed, start, ["a"]);
    await source.close();
    await put(target, ["b"], 1);
    const again = await bench.open(place, "source");
    await toldOrLost(again.changes!, cursor, ["b"]);
  });

  check(suite, "reading on from the cursor of each batch leaves nothing out", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    const ids = Array.from({ length: PIECES * 3 }, (_, i) => `piece-${i}`);
    for (let from = 0; from < ids.length; from += 3) await put(target, ids.slice(from, from + 3), from);
    const missing = new Set(ids);
    let cursor = start;
    const read = async () => {
      while (missing.size > 0) {
        const batches = reading(feed, cursor, calm());
        const { value, done } = await batches.next();
        expect(done).not.toBe(true);
        await batches.return?.();
        for (const { id } of (value as ChangeBatch).refs) missing.delete(idKey(id));
        cursor = overWire((value as ChangeBatch).cursor);
      }
    };
    await within(TOLD_MS, "what is told in pieces", read()).catch((error) => {
      throw new Error(`${missing.size} of ${ids.length} changed ids were not told: ${(error as Error).message}`);
    });
  });

  check(suite, "two followers do not disturb each other", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    const other = overWire(await feed.now("another", calm()));
    bench.after(async () => feed.release?.("another", calm()));
    await put(target, ["a"], 1);
    const { cursor } = await told(feed, start, ["a"]);
    await feed.acknowledge?.(FOLLOWER, cursor, calm());
    await feed.release?.(FOLLOWER, calm());
    const wanted = new Set(["a"]);
    const stop = new AbortController();
    const batches = feed.read({ follower: "another", after: other, maxWaitMs: WAIT_MS, signal: stop.signal });
    const read = async () => {
      for await (const { refs } of batches) {
        for (const { id } of refs) wanted.delete(idKey(id));
        if (wanted.size === 0) return;
      }
    };
    await within(TOLD_MS, "what the second follower is told", read());
  });

  check(suite, "what was acknowledged need not be told again, and what came after it is", async (bench, skip) => {
    const { target, feed, start } = await followed(bench, skip);
    await put(target, ["a"], 1);
    const { cursor } = await told(feed, start, ["a"]);
    await feed.acknowledge?.(FOLLOWER, cursor, calm());
    await put(target, ["b"], 1);
    await told(feed, cursor, ["b"]);
  });

  check(suite, "a cursor that the feed did not make is refused before anything is told", async (bench, skip) => {
    const { feed } = await followed(bench, skip);
    for (const after of FOREIGN) {
      const context = `cursor ${JSON.stringify(after)}`;
      const error = await within(TOLD_MS, context, rejection(told(feed, after, ["nobody"], TOLD_MS), context));
      if (!isP2PError(error)) throw error;
      expect(["CHECKPOINT_INVALID", "CHANGES_LOST"], `${context}: ${error.message}`).toContain(error.code);
    }
  });
}

const FOREIGN: readonly JsonValue[] = [null, {}, "x", 7, [], { x: 1 }, { store: "nobody", at: 7 }];

/** The feed tells of all these ids, or says that it cannot: never is one left out in silence. */
async function toldOrLost(feed: ChangeFeed, after: JsonValue, ids: readonly P2PId[]): Promise<void> {
  await told(feed, after, ids).catch((error) => {
    if (!isP2PError(error, "CHANGES_LOST")) throw error;
  });
}

function feedMannerChecks(suite: Suite): void {
  check(suite, "an aborted signal ends the feed by its reason", async (bench, skip) => {
    const { feed, start } = await followed(bench, skip);
    const reason = new Error("enough");
    const early = reading(feed, start, AbortSignal.abort(reason)).next();
    expect(await within(SOON_MS, "reading with an aborted signal", rejection(early, "reading"))).toBe(reason);
    const stop = new AbortController();
    const waiting = feed.read({ follower: FOLLOWER, after: start, maxWaitMs: 60_000, signal: stop.signal });
    const drained = (async () => {
      for await (const _ of waiting);
    })();
    setTimeout(() => stop.abort(reason), 20);
    expect(await within(SOON_MS, "a feed after an abort", rejection(drained, "a feed after an abort"))).toBe(reason);
    const now = rejection(feed.now(FOLLOWER, AbortSignal.abort(reason)), "now() with an aborted signal");
    expect(await within(SOON_MS, "now() with an aborted signal", now)).toBe(reason);
  });

  check(suite, "a feed that nobody reads on lets the store be closed", async (bench, skip) => {
    const { source, target, feed, start } = await followed(bench, skip);
    await put(target, ["a"], 1);
    const stop = new AbortController();
    const batches = reading(feed, start, stop.signal);
    await within(TOLD_MS, "the first batch", batches.next());
    await within(SOON_MS, "the return of a feed", Promise.resolve(batches.return?.()));
    await within(SOON_MS, "close()", source.close());
  });

  check(suite, "to release what was never kept is no error, and to release twice neither", async (bench, skip) => {
    const { feed } = await followed(bench, skip);
    await feed.release?.("nobody-at-all", calm());
    await feed.release?.(FOLLOWER, calm());
    await feed.release?.(FOLLOWER, calm());
  });
}

function controlChecks(suite: Suite): void {
  check(suite, "turning the feed on and off is done once however often it is asked for", async (bench, skip) => {
    const { changes: control } = bench.adapter.starter;
    if (!control) return skip("the starter has nothing to turn on");
    const { place, feed, start, target } = await followed(bench, skip);
    const context = { role: "target", signal: calm(), connectTimeoutMs: TOLD_MS } as const;
    expect((await control.enable(place, context)).state).toBe("on");
    expect((await control.status(place, context)).state).toBe("on");
    await put(target, ["a"], 1);
    await told(feed, start, ["a"]);
    await control.disable(place, context);
    const after = await control.disable(place, context);
    expect(after.kept).toEqual([]);
    await control.enable(place, context);
  });
}
