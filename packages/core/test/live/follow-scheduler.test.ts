import { expect, it } from "vitest";
import { FollowScheduler } from "../../src/live/follow-scheduler.ts";
import type { IdRef } from "../../src/starter.ts";

const LANDS_WITHIN = 1000;

/** A scheduler with what it asked for, and timers that are fired by hand. */
function scheduled() {
  const timers: (() => void)[] = [];
  const rounds: { readonly refs: readonly IdRef[]; readonly done: () => void }[] = [];
  const scheduler = new FollowScheduler(
    {
      landsWithin: LANDS_WITHIN,
      gather: 0,
      batchSize: 10,
      concurrency: 2,
      position: 0,
      clean: true,
      collecting: false,
    },
    {
      later: (_, step) => void timers.push(step),
      reconcile: (refs, _, done) => void rounds.push({ refs, done }),
      keptSettled: () => {},
      moved: () => {},
    },
  );
  return { scheduler, timers, rounds };
}

it("holds the position for a write without an answer also when changes were lost and a mirror stands for all before it", () => {
  const { scheduler, timers, rounds } = scheduled();
  const refs = [{ id: "a" }];
  scheduler.told(refs, 1);
  scheduler.unclear(refs);
  rounds[0]!.done();
  expect(scheduler.position).toBe(0);
  scheduler.collect(7);
  scheduler.complete();
  // It may land after the mirror: a run that begins at 7 would know nothing of it.
  expect([scheduler.position, scheduler.isClean]).toEqual([0, false]);
  for (const fire of timers.splice(0)) fire();
  expect(rounds.at(-1)!.refs).toEqual(refs);
  expect(scheduler.position).toBe(0);
  rounds.at(-1)!.done();
  expect([scheduler.position, scheduler.isClean]).toEqual([7, true]);
});
