import type { ChangeBatch, ChangeFeed, ChangeReadOptions, LookUpOutcome } from "@omni/p2p-core/starter";
import { idKey } from "@omni/p2p-core/starter";
import { type Breakage, feedAdapter, type Journal, readJournal } from "./journal.ts";
import type { BrokenAdapter } from "./sabotage.ts";

const never = new AbortController().signal;
const ABSENT: LookUpOutcome = { state: "absent" };

/** How long look-ups lag behind a feed that is ahead of them, in ms. */
const LAG_MS = 500;

function brokenFeed(breakage: Breakage, ...caughtBy: string[]): BrokenAdapter {
  return { adapter: feedAdapter(breakage), caughtBy };
}

/** Changes each batch, or leaves it out. */
function rebatched(change: (batch: ChangeBatch, journal: Journal) => ChangeBatch | undefined): Breakage {
  return {
    feed: (feed, journal) => ({
      async *read(options) {
        for await (const batch of feed.read(options)) {
          const changed = change(batch, journal);
          if (changed) yield changed;
        }
      },
    }),
  };
}

/** Reads with other options than it was given. */
function reading(change: (options: ChangeReadOptions, journal: Journal) => ChangeReadOptions): Breakage {
  return { feed: (feed, journal) => ({ read: (options) => feed.read(change(options, journal)) }) };
}

/** Faults of feeds of changes, by what is wrong. */
export const brokenFeeds: Readonly<Record<string, BrokenAdapter>> = {
  "tells no deletes": brokenFeed(
    { noted: (ids, how) => (how === "delete" ? [] : ids) },
    "every write, update and delete behind a position is told",
  ),
  "tells each id once and never again": brokenFeed(
    { noted: (ids, _, journal) => ids.filter((id) => !journal.changedAt.has(id)) },
    "every write, update and delete behind a position is told",
    "what was changed between the position and the first read is told",
  ),
  "tells what it wrote itself, and nothing of others": brokenFeed(
    { noted: (ids, how) => (how === "other" ? [] : ids) },
    "what other users of the store change is told",
  ),
  "takes its first position when it is read": brokenFeed(
    { ...reading((options, journal) => ({ ...options, after: journal.cursor(journal.ids.length) })) },
    "what was changed between the position and the first read is told",
    "what was acknowledged need not be told again, and what came after it is",
  ),
  "tells what was there when reading began, and nothing of later": brokenFeed(
    {
      feed: (feed, journal) => ({
        read(options) {
          const end = journal.ids.length;
          return untilPlace(feed, options, journal, end);
        },
      }),
    },
    "what is changed while the feed is read is told",
  ),
  "tells the newest change first, with its position": brokenFeed(
    {
      feed: (_, journal) => ({
        async *read({ after, maxWaitMs, signal }) {
          signal.throwIfAborted();
          for (let at = journal.place(after); ; ) {
            await journal.more(at, maxWaitMs, signal);
            const ids = journal.ids.slice(at);
            at += ids.length;
            if (ids.length === 0) yield { refs: [], cursor: journal.cursor(at) };
            for (const id of ids.reverse()) yield { refs: [{ id }], cursor: journal.cursor(at) };
          }
        },
      }),
    },
    "reading on from the cursor of each batch leaves nothing out",
  ),
  "moves its position on before it tells": brokenFeed(
    rebatched((batch, journal) => ({ ...batch, cursor: journal.cursor(journal.ids.length) })),
    "reading on from the cursor of each batch leaves nothing out",
  ),
  "has a position that counts from when the store was opened": brokenFeed(
    {
      feed: (feed, journal) => {
        const opened = journal.ids.length;
        return {
          now: async (follower, signal) => journal.cursor(journal.place(await feed.now(follower, signal)) - opened),
          async *read(options) {
            const after = journal.cursor(journal.place(options.after) + opened);
            for await (const batch of feed.read({ ...options, after })) {
              yield { ...batch, cursor: journal.cursor(journal.place(batch.cursor) - opened) };
            }
          },
        };
      },
    },
    "a cursor serves a store that is opened anew, or is CHANGES_LOST",
  ),
  "gives nothing while nothing changes": brokenFeed(
    rebatched((batch) => (batch.refs.length > 0 ? batch : undefined)),
    "while nothing changes, empty batches move the position on",
  ),
  "moves its position past what comes next while nothing changes": brokenFeed(
    rebatched((batch, journal) =>
      batch.refs.length > 0 ? batch : { ...batch, cursor: journal.cursor(journal.place(batch.cursor) + 1) },
    ),
    "while nothing changes, empty batches move the position on",
  ),
  "goes on in silence where its ring was overrun": brokenFeed(
    reading((options, journal) => {
      // Whatever is no place of this journal is for the feed itself.
      if (journal.ids.length < 500) return options;
      return { ...options, after: journal.cursor(Math.max(journal.place(options.after), journal.ids.length - 500)) };
    }),
    "10,000 changes in a row are all told",
  ),
  "forgets what it has told, and does not say so": brokenFeed(
    {
      feed: (feed, journal) => ({
        async *read(options) {
          const told = toldOf(journal);
          const from = Math.max(journal.place(options.after), told.upTo);
          for await (const batch of feed.read({ ...options, after: journal.cursor(from) })) {
            told.upTo = Math.max(told.upTo, journal.place(batch.cursor));
            yield batch;
          }
        },
      }),
    },
    "a position that is used again tells again",
  ),
  "forgets for all what one follower has settled": brokenFeed(
    {
      feed: (feed, journal) => ({
        async acknowledge(_follower, position) {
          toldOf(journal).upTo = journal.place(position);
        },
        read: (options) =>
          feed.read({
            ...options,
            after: journal.cursor(Math.max(journal.place(options.after), toldOf(journal).upTo)),
          }),
      }),
    },
    "two followers do not disturb each other",
  ),
  "names ids as texts, whatever they are": brokenFeed(
    {
      ...rebatched((batch) => ({ ...batch, refs: batch.refs.map(({ id }) => ({ id: idKey(id) })) })),
      // As stores do that keep ids of two types apart.
      service: (service, journal) => ({
        async lookUp(refs, query, options) {
          const outcomes = await service.lookUp!(refs, query, options);
          const types = new Map(journal.ids.map((id) => [idKey(id), typeof id]));
          return outcomes.map((outcome, at) => {
            const { id } = refs[at]!;
            return types.get(idKey(id)) === typeof id ? outcome : ABSENT;
          });
        },
      }),
    },
    "ids that are",
  ),
  "tells a change before look-ups see it": brokenFeed(
    {
      service: (service, journal) => ({
        async lookUp(refs, query, options) {
          const outcomes = await service.lookUp!(refs, query, options);
          const isSeen = (at: number) => {
            const changedAt = journal.changedAt.get(refs[at]!.id) ?? Number.NEGATIVE_INFINITY;
            return performance.now() - changedAt > LAG_MS;
          };
          return outcomes.map((outcome, at) => (isSeen(at) ? outcome : ABSENT));
        },
      }),
    },
    "a record that is told is found as it is then",
  ),
  "takes any cursor for its beginning": brokenFeed(
    {
      feed: (feed, journal) => ({
        read(options) {
          try {
            journal.place(options.after);
            return feed.read(options);
          } catch {
            return feed.read({ ...options, after: journal.cursor(0) });
          }
        },
      }),
    },
    "a cursor that the feed did not make is refused before anything is told",
  ),
  "goes on when it is aborted": brokenFeed(
    reading((options) => ({ ...options, signal: never })),
    "an aborted signal ends the feed by its reason",
  ),
  "ends in silence when it is aborted": brokenFeed(
    {
      feed: (feed) => ({
        async *read(options) {
          try {
            yield* feed.read(options);
          } catch (error) {
            if (!options.signal.aborted) throw error;
          }
        },
      }),
    },
    "an aborted signal ends the feed by its reason",
  ),
  "aborts a feed with an error of its own": brokenFeed(
    {
      feed: (feed) => ({
        async *read(options) {
          try {
            yield* feed.read(options);
          } catch (error) {
            throw options.signal.aborted ? new Error("cancelled") : error;
          }
        },
      }),
    },
    "an aborted signal ends the feed by its reason",
  ),
  "takes a position though it was aborted": brokenFeed(
    { feed: (feed) => ({ now: (follower) => feed.now(follower, never) }) },
    "an aborted signal ends the feed by its reason",
  ),
  "hangs where nobody reads on": brokenFeed(
    {
      feed: (_, journal) => ({
        async *read(options) {
          try {
            yield* readJournal(journal, options);
          } finally {
            await new Promise(() => {});
          }
        },
      }),
    },
    "a feed that nobody reads on lets the store be closed",
  ),
  "can release what it keeps, once": brokenFeed(
    {
      feed: () => {
        const kept = new Set(["conformance"]);
        return {
          async release(follower) {
            if (!kept.delete(follower)) throw new Error(`nothing is kept for ${follower}`);
          },
        };
      },
    },
    "to release what was never kept is no error, and to release twice neither",
  ),
  "keeps something when it is turned off": brokenFeed(
    { keptWhenOff: true },
    "turning the feed on and off is done once however often it is asked for",
  ),
};

/** Reads up to a place of the journal, and then gives empty batches alone. */
async function* untilPlace(
  feed: ChangeFeed,
  options: ChangeReadOptions,
  journal: Journal,
  end: number,
): AsyncGenerator<ChangeBatch> {
  for await (const batch of feed.read(options)) {
    yield journal.place(batch.cursor) <= end ? batch : { ...batch, refs: [] };
  }
}

const told = new WeakMap<Journal, { upTo: number }>();

/** What a journal has forgotten, shared by all who have it open. */
function toldOf(journal: Journal): { upTo: number } {
  const state = told.get(journal) ?? { upTo: 0 };
  told.set(journal, state);
  return state;
}
