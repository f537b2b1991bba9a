import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { P2PError, type P2PQuery, type P2PRecord, type VerifyOptions, verify } from "../../src/index.ts";
import { cloneValue, idKey, valuesEqual } from "../../src/starter.ts";
import { value } from "../support/arbitraries.ts";
import { forever, records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

const endpoint = (endpointId: string) => ({
  endpointId,
  storageType: "scripted",
  metadata: { password: "planted-s3cr3t" },
});

const compare = (
  source: readonly P2PRecord[] | ScriptedStore,
  target: readonly P2PRecord[] | ScriptedStore,
  options: VerifyOptions = {},
  query: P2PQuery = {},
) =>
  verify(
    { service: source instanceof ScriptedStore ? source : new ScriptedStore(source), endpoint: endpoint("a") },
    { service: target instanceof ScriptedStore ? target : new ScriptedStore(target), endpoint: endpoint("b") },
    query,
    options,
  );

const leftovers = () => readdirSync(tmpdir()).filter((name) => name.startsWith("omni-p2p-verify-"));

expectNoUnhandledRejections();

describe("verify", () => {
  it("finds equal what is equal, in any order of records and fields", async () => {
    const list = records(500, (at) => ({ when: new Date(at), tags: [at, 1n], sub: { a: 1, b: null } }));
    const other = list
      .toReversed()
      .map((record) => Object.fromEntries(Object.entries(record).toReversed()) as P2PRecord);
    expect(await compare(list, other, { batchSize: 7 })).toMatchObject({
      equal: true,
      sourceCount: 500,
      targetCount: 500,
      missing: 0,
      extra: 0,
      different: 0,
      differences: [],
    });
    expect(await compare([], [])).toMatchObject({ equal: true, sourceCount: 0 });
  });

  it("lists what is missing, extra and different, by id", async () => {
    const source = records(1000);
    const target = source
      .filter(({ at }) => at !== 3 && at !== 700)
      .map((record) => (record.at === 500 ? { ...record, at: 500n } : record));
    target.push({ id: "r00003x" }, { id: "zzz" });
    const before = leftovers();
    expect(await compare(source, target)).toMatchObject({
      equal: false,
      sourceCount: 1000,
      targetCount: 1000,
      missing: 2,
      extra: 2,
      different: 1,
      differences: [
        { kind: "missing", id: "r00003" },
        { kind: "extra", id: "r00003x" },
        { kind: "different", id: "r00500" },
        { kind: "missing", id: "r00700" },
        { kind: "extra", id: "zzz" },
      ],
    });
    expect(leftovers()).toEqual(before);
  });

  it("agrees with a plain comparison, whatever the records hold", async () => {
    const ids = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        ids,
        ids,
        fc.array(value, { minLength: 31, maxLength: 31 }),
        fc.nat({ max: 30 }),
        async (left, right, fields, changed) => {
          const source = left.map((id): P2PRecord => ({ id, field: fields[id]! }));
          const target = right.map(
            (id): P2PRecord => ({ id: id % 2 ? BigInt(id) : id, field: id === changed ? 5 : cloneValue(fields[id]!) }),
          );
          const found = await compare(source, target);
          const byId = new Map(target.map((record) => [idKey(record.id), record]));
          expect(found.missing).toBe(left.filter((id) => !right.includes(id)).length);
          expect(found.extra).toBe(right.filter((id) => !left.includes(id)).length);
          expect(found.different).toBe(
            source.filter((record) => byId.has(idKey(record.id)) && !valuesEqual(record, byId.get(idKey(record.id))))
              .length,
          );
          expect(found.equal).toBe(found.missing + found.extra + found.different === 0);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("counts all differences and lists as many as asked", async () => {
    const found = await compare(records(50), [], { maxDifferences: 3 });
    expect(found).toMatchObject({ missing: 50, equal: false });
    expect(found.differences).toHaveLength(3);
  });

  it("puts the source through the transform", async () => {
    const target = records(20)
      .filter(({ at }) => at !== 4)
      .map(({ id, at }) => ({ id, double: 2 * (at as number) }));
    const transform = ({ id, at }: P2PRecord) => (at === 4 ? null : { id, double: 2 * (at as number) });
    expect(await compare(records(20), target, { transform })).toMatchObject({
      equal: true,
      sourceCount: 19,
      targetCount: 19,
    });
  });

  it("can be told what to read of the target", async () => {
    const target = [...records(10), { id: "other", type: "x" }];
    expect(await compare(records(10), target)).toMatchObject({ equal: false, extra: 1 });
    expect(await compare(records(10), target, { targetQuery: { where: { at: { exists: true } } } })).toMatchObject({
      equal: true,
    });
    expect(await compare(records(10), records(10), {}, { where: { at: { lt: 5 } } })).toMatchObject({
      equal: true,
      sourceCount: 5,
      targetCount: 5,
    });
  });

  it("tells how far it is", async () => {
    const told: number[] = [];
    await compare(records(10), records(10), { batchSize: 5, onProgress: (count) => told.push(count) });
    expect(told).toEqual([5, 10, 15, 20]);
  });

  it("tells how far it has to go, once both sides have counted", async () => {
    const told: (number | undefined)[] = [];
    await compare(records(10), records(9), { batchSize: 1, onProgress: (_, total) => told.push(total) });
    expect(told.at(-1)).toBe(19);
  });

  it.each<[string, object, RegExp]>([
    ["a batch size of 0", { batchSize: 0 }, /"batchSize" must be a whole number from 1 up/],
    ["half a batch", { batchSize: 1.5 }, /"batchSize" must be/],
    ["a negative number of differences", { maxDifferences: -1 }, /"maxDifferences" must be/],
    ["extras that are no word", { extras: true }, /"extras" must be "differ" or "allow"/],
    ["failed ids that are none", { failed: 5 }, /"failed" must be iterable/],
    ["a transform that is no function", { transform: 5 }, /"transform" must be a function/],
    ["a signal that is none", { signal: {} }, /"signal" must be an AbortSignal/],
  ])("refuses %s", async (_, options, message) => {
    await expect(compare(records(3), records(3), options)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(message),
    });
  });

  it("fails when a side cannot be read as a whole, without secrets", async () => {
    await expect(compare(records(1), [], {}, { limit: -1 })).rejects.toMatchObject({ code: "INVALID_QUERY" });
    const gone = new ScriptedStore(records(1), {
      read: () => {
        throw new P2PError("SOURCE_NOT_FOUND", "no table; planted-s3cr3t");
      },
    });
    const error: unknown = await compare(gone, []).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "SOURCE_NOT_FOUND" });
    expect(String((error as Error).stack)).not.toContain("s3cr3t");
  });

  it("ends when it is cancelled, also where nothing is asynchronous or nothing ever settles", async () => {
    const busy = new ScriptedStore(records(50_000));
    const startedAt = performance.now();
    await expect(compare(busy, busy, { signal: AbortSignal.timeout(20), batchSize: 100 })).rejects.toMatchObject({
      code: "ABORTED",
    });
    expect(performance.now() - startedAt).toBeLessThan(1500);
    const stuck = new ScriptedStore(records(1), { read: () => forever() });
    await expect(compare(stuck, [], { signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: "ABORTED" });
    await expect(compare([], [], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("removes what a comparison that was killed long ago has left, and nothing younger", async () => {
    const [old, young] = ["old", "young"].map((name) => mkdtempSync(join(tmpdir(), `omni-p2p-verify-${name}-`)));
    try {
      for (const folder of [old!, young!]) {
        writeFileSync(join(folder, "0"), "x");
        const longAgo = new Date(Date.now() - 48 * 3_600_000);
        if (folder === old) utimesSync(join(folder, "0"), longAgo, longAgo);
        utimesSync(folder, longAgo, longAgo);
      }
      await compare(records(1), []);
      expect([existsSync(old!), existsSync(young!)]).toEqual([false, true]);
    } finally {
      for (const folder of [old!, young!]) rmSync(folder, { recursive: true, force: true });
    }
  });
});
