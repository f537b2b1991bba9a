import type { EndpointInfo, LeaseAnswer, LeaseKeeper, LeaseRequest } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { type Bench, calm, lookUp, readRecords } from "../bench.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Skip, type Suite } from "../suite.ts";

/** Longer than any check. */
const LONG_MS = 60_000;
/** A term that a check waits out. */
const SHORT_MS = 400;

/** A name of the longest kind, in all of its characters. */
const NAME = `Follow_1.${"x-".repeat(95)}`;

/** Leases of a target. */
export function leasingChecks(suite: Suite): void {
  group("leases", () => {
    check(suite, "one holder at a time has a name, and the others are told who it is", async (bench, skip) => {
      const [first, second] = await keepers(bench, skip);
      expect(await take(first, { run: "a", holder: 'process 1 on "höst" — 漢' })).toEqual({ held: true });
      expectHeld(await take(second, { run: "b" }), 'process 1 on "höst" — 漢');
      expect(await take(first, { run: "a", renew: true })).toEqual({ held: true });
      expectHeld(await take(second, { run: "b", renew: true }), "first of a");
      // Another name, and the same one in another place, are other leases.
      expect(await take(second, { run: "b", name: "other" })).toEqual({ held: true });
      const [elsewhere] = await keepers(bench, skip);
      expect(await take(elsewhere, { run: "c" })).toEqual({ held: true });
    });

    check(suite, "of many that ask for a lease at once one gets it", async (bench, skip) => {
      const all = await keepers(bench, skip, await bench.place(), 4);
      for (let round = 0; round < 5; round++) {
        const asked = Array.from({ length: 12 }, (_, at) => `run ${round}-${at}`);
        const answers = await Promise.all(
          asked.map((run, at) => take(all[at % all.length]!, { run, name: `many-${round}` })),
        );
        expect(answers.filter(({ held }) => held)).toHaveLength(1);
      }
    });

    check(suite, "a lease that is not renewed expires, and one that is given back is free", async (bench, skip) => {
      const [first, second] = await keepers(bench, skip);
      await take(first, { run: "a", ttlMs: SHORT_MS });
      expectHeld(await take(second, { run: "b" }), "first of a", SHORT_MS);
      await gone(() => take(second, { run: "b" }));
      // Whoever slept is told, and takes nothing back.
      expectHeld(await take(first, { run: "a", renew: true }), "first of b");
      // Nobody gives back what is not theirs.
      await first.release({ name: NAME, run: "a" }, calm());
      expectHeld(await take(first, { run: "a" }), "first of b");
      await second.release({ name: NAME, run: "b" }, calm());
      await second.release({ name: NAME, run: "b" }, calm());
      expect(await take(first, { run: "a", renew: true })).toEqual({ held: true });
    });

    check(
      suite,
      "the next run of one owner takes the lease, and the one before does not take it back",
      async (bench, skip) => {
        const [first, second] = await keepers(bench, skip);
        await take(first, { run: "a", owner: "me" });
        expect(await take(second, { run: "b", owner: "me" })).toEqual({ held: true });
        expectHeld(await take(first, { run: "a", owner: "me", renew: true }), "first of b");
        expect(await take(second, { run: "b", owner: "me", renew: true })).toEqual({ held: true });
      },
    );

    check(suite, "a lease is no record, and makes nothing of a place that is not there", async (bench, skip) => {
      const { starter } = suite.adapter;
      const place = await bench.place();
      // Opening a target may make it.
      await (await bench.open(place, "target")).close();
      const before = await seen(bench, place);
      const [keeper] = await keepers(bench, skip, place, 1);
      await take(keeper!, { run: "a" });
      expect(await seen(bench, place)).toEqual(before);
      await bench.write(place, sampleRecords(5));
      const source = await bench.open(place, "source");
      const identity = await source.identity(calm());
      await take(keeper!, { run: "a", renew: true });
      await take(keeper!, { run: "a", name: "another" });
      expect(await readRecords(source)).toHaveLength(5);
      const counted = await source.count({}, calm());
      if (counted !== undefined) expect(counted).toBe(5);
      expect(await source.identity(calm())).toEqual(identity);
      if (source.capabilities.lookUp) {
        const outcomes = await lookUp(
          source,
          [NAME, "another", "_p2p:leases", "_p2p_leases"].map((id) => ({ id })),
        );
        expect(outcomes.map(({ state }) => state)).toEqual(outcomes.map(() => "absent"));
      }
      const { collections = [] } =
        (await starter.inspect?.(place, { role: "source", signal: calm(), connectTimeoutMs: 10_000 })) ?? {};
      expect(collections.filter(({ name }) => /lease/i.test(name))).toEqual([]);
    });
  });
}

/** Leases of one place, asked by services of their own. */
async function keepers(
  bench: Bench,
  skip: Skip,
  given?: EndpointInfo,
  count = 2,
): Promise<readonly [LeaseKeeper, LeaseKeeper, ...LeaseKeeper[]]> {
  const place = given ?? (await bench.place());
  const all: LeaseKeeper[] = [];
  for (let at = 0; at < count; at++) {
    const { leases } = await bench.open(place, "target");
    if (leases === undefined) return skip("the store keeps no leases");
    bench.after(() => leases.release({ name: NAME, run: "a" }, calm()).catch(() => {}));
    all.push(leases);
  }
  return all as unknown as readonly [LeaseKeeper, LeaseKeeper, ...LeaseKeeper[]];
}

function take(keeper: LeaseKeeper, request: Partial<LeaseRequest> & { readonly run: string }): Promise<LeaseAnswer> {
  const { run } = request;
  const whole = { name: NAME, owner: `owner of ${run}`, holder: `first of ${run}`, ttlMs: LONG_MS, renew: false };
  return keeper.take({ ...whole, ...request }, calm());
}

function expectHeld(answer: LeaseAnswer, holder: string, mostMs = LONG_MS): void {
  expect(answer).toEqual({ held: false, holder: expect.any(String), expiresInMs: expect.any(Number) });
  if (answer.held) return;
  expect(answer.expiresInMs).toBeGreaterThan(0);
  // Clocks of stores may be coarse.
  expect(answer.expiresInMs).toBeLessThanOrEqual(mostMs + 1000);
  expect(answer.holder).toBe(holder);
}

/** Waits until a lease has expired and is given. */
async function gone(ask: () => Promise<LeaseAnswer>): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!(await ask()).held) {
    expect(performance.now(), "a lease did not expire").toBeLessThan(deadline);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What reading a place gives, or the code of the refusal. */
async function seen(bench: Bench, place: EndpointInfo): Promise<unknown> {
  return bench.contents(place).catch((error: { readonly code?: string }) => error.code);
}
