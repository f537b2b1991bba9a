import { describe, expect, it } from "vitest";
import {
  P2PError,
  type P2PQuery,
  type P2PRecord,
  TaggedValue,
  type Transform,
  type VerifyOptions,
  verify,
} from "../../src/index.ts";
import { busy, lost, records, ScriptedStore, untilAborted } from "../support/scripted-store.ts";
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

const without = (list: readonly P2PRecord[], ...places: number[]) => list.filter((_, at) => !places.includes(at));

const gone = () =>
  new ScriptedStore([{ id: 1 }], {
    read: () => {
      throw new P2PError("SOURCE_NOT_FOUND", "there is no such table");
    },
  });

expectNoUnhandledRejections();

describe("a record that cannot be read", () => {
  it.each(["source", "target"] as const)("of the %s is counted and listed, and the rest is compared", async (side) => {
    const bad = new ScriptedStore(records(50), { unreadable: new Set([7]) });
    const good = records(50).map((record) => (record.at === 20 ? { ...record, at: 21 } : record));
    const found = await (side === "source" ? compare(bad, good) : compare(good, bad));
    expect(found).toMatchObject({ equal: false, unreadable: 1, missing: 0, extra: 0, different: 1 });
    expect(found.differences).toMatchObject([
      { kind: "unreadable", id: "r00007", side, reason: "it cannot be made out" },
      { kind: "different", id: "r00020" },
    ]);
  });

  it("is listed, also among thousands that are missing", async () => {
    const source = new ScriptedStore(records(3000), { unreadable: new Set([2990]) });
    const target = records(3000)
      .filter(({ at }) => at === 2990 || at === 2995)
      .map((record) => ({ ...record, more: 1 }));
    const { differences, missing } = await compare(source, target, { maxDifferences: 5 });
    expect(missing).toBe(2998);
    expect(differences.map(({ kind }) => kind).sort()).toEqual([
      "different",
      "missing",
      "missing",
      "missing",
      "unreadable",
    ]);
    expect(differences.at(-2)).toMatchObject({ kind: "unreadable", id: "r02990", reason: "it cannot be made out" });
  });

  it("keeps the sides from being equal, where it is unreadable on both and where it is nowhere else", async () => {
    const bad = (list: readonly P2PRecord[]) => new ScriptedStore(list, { unreadable: new Set([0]) });
    expect(await compare(bad(records(3)), bad(records(3)))).toMatchObject({ equal: false, unreadable: 2, missing: 0 });
    expect(await compare(bad(records(3)), without(records(3), 0))).toMatchObject({ equal: false, unreadable: 1 });
  });

  it("may be every one of them", async () => {
    const bad = new ScriptedStore(records(3), { unreadable: new Set([0, 1, 2]) });
    expect(await compare(bad, records(3))).toMatchObject({ unreadable: 3, sourceCount: 0, targetCount: 3, extra: 0 });
  });

  it("may be no record at all", async () => {
    const odd = [{ title: "no id" }, { id: 5, when: new Date(Number.NaN) }, { id: 6 }] as never[];
    const found = await compare(odd, [{ id: 6 }]);
    expect(found).toMatchObject({ unreadable: 2, missing: 0, extra: 0, sourceCount: 1 });
    expect(found.differences).toMatchObject([{ id: "" }, { id: "5", reason: expect.stringContaining("invalid date") }]);
  });

  it("may be one that the transform fails on, and its reason holds no secret", async () => {
    const transform: Transform = (record) => {
      if (record.at === 1) throw new Error("planted-s3cr3t is refused");
      return record;
    };
    const found = await compare(records(3), records(3), { transform });
    expect(found).toMatchObject({ unreadable: 1, missing: 0, extra: 0, different: 0 });
    expect(JSON.stringify(found)).not.toContain("s3cr3t");
  });
});

describe("a side that fails for the moment", () => {
  it.each([
    ["refuses", busy({ retryAfterMs: 1 })],
    ["goes away", lost()],
  ])("is read on from where it was when it %s", async (_, error) => {
    let troubles = 2;
    const flaky = new ScriptedStore(records(40), {
      read: ({ from }) => {
        if (from === 20 && troubles-- > 0) throw error;
      },
    });
    expect(await compare(flaky, records(40), { batchSize: 10 })).toMatchObject({ equal: true, sourceCount: 40 });
    troubles = 2;
    expect(await compare(flaky, records(40), { batchSize: 10 }, { limit: 25 })).toMatchObject({
      equal: true,
      sourceCount: 25,
    });
  });
});

describe("what differs", () => {
  it("is told by field, with both values and their types", async () => {
    const source: P2PRecord = {
      id: "doc-7",
      title: "A",
      size: 5,
      gone: null,
      when: new Date(0),
      data: new Uint8Array([0, 1, 2]),
      owner: new TaggedValue("mongodb:objectId", "65f0"),
      tags: ["a", "b"],
      meta: { same: 1, city: "X", "a.b": true },
    };
    const target: P2PRecord = {
      id: "doc-7",
      title: "B",
      size: 5n,
      when: "1970-01-01",
      data: new Uint8Array([0, 1, 3]),
      owner: "65f0",
      tags: ["a"],
      meta: { city: "Y", same: 1, "a.b": false },
      more: Number.NaN,
    };
    const found = await compare([source], [target]);
    expect(found.differences).toEqual([
      {
        kind: "different",
        id: "doc-7",
        fields: [
          { field: "title", source: '"A"', target: '"B"' },
          { field: "size", source: "5", target: "5n" },
          { field: "gone", source: "null" },
          { field: "when", source: "date:1970-01-01T00:00:00.000Z", target: '"1970-01-01"' },
          { field: "data", source: "bytes:AAEC", target: "bytes:AAED" },
          { field: "owner", source: 'mongodb:objectId:"65f0"', target: '"65f0"' },
          { field: "tags[1]", source: '"b"' },
          { field: "meta.city", source: '"X"', target: '"Y"' },
          { field: 'meta["a.b"]', source: "true", target: "false" },
          { field: "more", target: "NaN" },
        ],
      },
    ]);
  });

  it("is told in bounded texts that show the place where two long values part", async () => {
    const long = "x".repeat(1_000_000);
    const found = await compare([{ id: 1, text: `${long}` }], [{ id: 1, text: `${"x".repeat(5000)}!${long}` }]);
    const [{ source, target } = { source: "", target: "" }] = found.differences[0]!.fields!;
    expect(source!.length).toBeLessThanOrEqual(202);
    expect(target!.length).toBeLessThanOrEqual(202);
    expect(target).toContain("x!x");
    const wide = await compare([{ id: 1, list: Array.from({ length: 10_000 }, () => 1) }], [{ id: 1, list: [] }]);
    expect(wide.differences[0]).toMatchObject({ moreFields: 9990 });
    expect(wide.differences[0]!.fields).toHaveLength(10);
  });

  it("is told of the first hundred, and counted of all", async () => {
    const found = await compare(
      records(300),
      records(300, () => ({ at: -1 })),
    );
    expect(found.different).toBe(300);
    expect(found.differences.filter(({ fields }) => fields !== undefined).map(({ id }) => id)).toEqual(
      records(100).map(({ id }) => id),
    );
  });

  it("is found also where the store cannot be asked for ids, and of what the transform made", async () => {
    const list = records(30);
    const target = list.map(({ id, at }) => ({ id: `x-${id as string}`, at: at === 9 ? "nine" : at }) as P2PRecord);
    const transform: Transform = ({ id, at }) => ({ id: `x-${id as string}`, at: at! });
    const deaf = new ScriptedStore(target);
    const readFromSource = deaf.readFromSource.bind(deaf);
    deaf.readFromSource = (query, options) => {
      if (query.where?.id) throw new P2PError("UNSUPPORTED_QUERY", "not by id");
      return readFromSource(query, options);
    };
    const found = await compare(list, deaf, { transform });
    expect(found.differences).toMatchObject([
      { id: "x-r00009", fields: [{ field: "at", source: "9", target: '"nine"' }] },
    ]);
  });
});

describe("an id that is there several times", () => {
  it("is told with how often each side has it", async () => {
    const found = await compare(
      [
        { id: 1, n: 1 },
        { id: "1", n: 2 },
        { id: 1n, n: 3 },
      ],
      [{ id: "1", n: 2 }],
    );
    expect(found).toMatchObject({ missing: 2, different: 0, extra: 0, repeated: { source: 2, target: 0 } });
    expect(found.differences).toMatchObject(
      [1, 2].map(() => ({ kind: "missing", id: "1", occurrences: { source: 3, target: 1 } })),
    );
  });

  it("may be one record that was sent several times, when it is said so", async () => {
    const letters = [
      { id: 1, n: 1 },
      { id: 1, n: 1 },
      { id: 2, n: 1 },
      { id: 2, n: 2 },
      { id: 3, n: 1 },
      { id: 3, n: 2 },
    ];
    const target = [
      { id: 1, n: 1 },
      { id: 2, n: 2 },
      { id: 3, n: 3 },
    ];
    const found = await compare(letters, target, { repeats: "allow" });
    expect(found).toMatchObject({ missing: 0, extra: 0, different: 1 });
    expect(found.differences).toMatchObject([{ id: "3", fields: [{ field: "n", source: "2", target: "3" }] }]);
    expect(await compare(letters, target)).toMatchObject({ missing: 3, different: 1 });
  });

  it("takes no time that grows with the square of its number", async () => {
    const many = (n: number) => Array.from({ length: n }, (_, at): P2PRecord => ({ id: "same", at }));
    const startedAt = performance.now();
    expect(await compare(many(40_000), many(39_999).toReversed(), { maxDifferences: 1 })).toMatchObject({ missing: 1 });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });
});

describe("what a transfer asked for", () => {
  it("bears what the target had besides, and counts it", async () => {
    const target = [...records(500), { id: "old-1" }, { id: "old-2" }];
    const replayed = [records(500)[3]!, records(500)[4]!];
    expect(await compare(replayed, target, { extras: "allow" })).toMatchObject({
      ...{ equal: true, missing: 0, extra: 500, different: 0, differences: [] },
      ...{ sourceCount: 2, targetCount: 502 },
    });
    expect(await compare(replayed, target)).toMatchObject({ equal: false, extra: 500 });
    const worse = await compare([...replayed, { id: "lost" }], target, { extras: "allow" });
    expect(worse).toMatchObject({
      equal: false,
      missing: 1,
      extra: 500,
      differences: [{ kind: "missing", id: "lost" }],
    });
  });

  it("may be a part: what lies beyond a limit or an offset is not extra", async () => {
    expect(await compare(records(50), records(50), {}, { limit: 10, offset: 5 })).toMatchObject({
      ...{ equal: true, sourceCount: 10, extra: 40 },
    });
    expect(await compare(records(50), records(50), { extras: "differ" }, { limit: 10 })).toMatchObject({
      ...{ equal: false, extra: 40 },
    });
    expect(await compare(records(50), without(records(50), 3), {}, { limit: 10 })).toMatchObject({ missing: 1 });
  });

  it("tells those that are known to have failed apart", async () => {
    const target = without(records(20), 3, 4, 5).map((record) => (record.at === 8 ? { ...record, at: 0 } : record));
    const failed = new Set(["r00003", "r00004", "r00008", "r00010", "never"]);
    const found = await compare(records(20), target, { failed });
    expect(found).toMatchObject({ equal: false, failed: 3, missing: 1, different: 0 });
    expect(found.differences).toMatchObject([
      { kind: "failed", id: "r00003" },
      { kind: "failed", id: "r00004" },
      { kind: "missing", id: "r00005" },
      { kind: "failed", id: "r00008" },
    ]);
    const unreadable = new ScriptedStore(records(5), { unreadable: new Set([2]) });
    expect(await compare(unreadable, without(records(5), 2), { failed: ["r00002"] })).toMatchObject({
      ...{ failed: 1, unreadable: 0 },
    });
  });

  it("may be nothing, into a target that was never made", async () => {
    expect(await compare([], gone())).toMatchObject({ equal: true, targetCount: 0, targetAbsent: true });
    expect(await compare(records(2), gone())).toMatchObject({ equal: false, missing: 2, targetAbsent: true });
  });
});

describe("a condition", () => {
  /** A store whose own search does not see some records. */
  const blind = (list: readonly P2PRecord[], hidden: (record: P2PRecord) => boolean) => {
    const store = new ScriptedStore(list);
    const whole = store.readFromSource.bind(store);
    store.readFromSource = async function* (query, options) {
      for await (const batch of whole(query, options)) {
        yield query.where ? { ...batch, records: batch.records.filter((record) => !hidden(record)) } : batch;
      }
    };
    return store;
  };

  it("that a record of the target no longer meets makes it different, not missing", async () => {
    const target = records(20).map((record) => (record.at === 7 ? { ...record, at: 700 } : record));
    const found = await compare(records(20), target, {}, { where: { at: { lt: 10 } } });
    expect(found).toMatchObject({ missing: 0, different: 1, extra: 0, sourceCount: 10 });
    expect(found.differences).toMatchObject([{ id: "r00007", fields: [{ field: "at", source: "7", target: "700" }] }]);
  });

  it("that the target cannot search for is held against all of it", async () => {
    const query: P2PQuery = { where: { at: { lt: 10 } } };
    const target = [...records(20), { id: "more", at: 3 }, { id: "other", at: 30 }];
    const store = blind(target, ({ at }) => (at as number) % 2 === 1);
    expect(await compare(records(20), store, {}, query)).toMatchObject({ missing: 0, different: 0, extra: 1 });
    expect(await compare(records(20), store, { extras: "allow" }, query)).toMatchObject({ equal: true });
  });
});

describe("a listener of the application", () => {
  it.each([
    [
      "throws",
      () => {
        throw new Error("broken");
      },
    ],
    [
      "rejects",
      async () => {
        throw new Error("broken");
      },
    ],
  ])("that %s ends nothing, and is told of once", async (_, onProgress) => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => warnings.push(warning);
    process.on("warning", hear);
    try {
      const found = await compare(records(20), records(20), { batchSize: 5, onProgress });
      expect(found).toMatchObject({ equal: true });
      await new Promise((resolve) => setImmediate(resolve));
      expect(warnings.map(({ message }) => message)).toEqual([expect.stringMatching(/^onProgress failed: broken/)]);
    } finally {
      process.off("warning", hear);
    }
  });
});

describe("what a store knows to be the same", () => {
  it("is compared as that, on both sides", async () => {
    const store = (list: readonly P2PRecord[]) => {
      const service = new ScriptedStore(list);
      return Object.assign(service, {
        comparable: (record: P2PRecord) =>
          typeof record.set === "string" ? { ...record, set: record.set.split("").sort() } : record,
      });
    };
    const [ours, theirs] = [store([{ id: 1, set: "abc" }]), new ScriptedStore([{ id: 1, set: "cba" }])];
    expect(await compare(ours, theirs)).toMatchObject({ equal: true });
    expect(await compare(theirs, ours)).toMatchObject({ equal: true });
    const found = await compare(ours, new ScriptedStore([{ id: 1, set: "cbd" }]));
    expect(found.differences).toMatchObject([{ fields: [{ field: "set[0]", source: '"a"', target: '"b"' }, {}, {}] }]);
  });
});

describe("two sides that are read side by side", () => {
  it("wait for each other, so that a slow one costs its own time alone", async () => {
    const met = Promise.withResolvers<void>();
    let arrived = 0;
    const read = () => {
      if (++arrived === 2) met.resolve();
      return met.promise;
    };
    const found = await compare(new ScriptedStore(records(10), { read }), new ScriptedStore(records(10), { read }));
    expect(found).toMatchObject({ equal: true, sourceCount: 10, targetCount: 10 });
  });

  it.each(["source", "target"] as const)("both end when the %s fails, with its error", async (side) => {
    let signal: AbortSignal | undefined;
    const endless = new ScriptedStore(records(10), {
      read: ({ options }) => {
        signal = options.signal;
        return untilAborted(options.signal);
      },
    });
    const broken = new ScriptedStore(records(10), {
      read: async () => {
        while (signal === undefined) await new Promise(setImmediate);
        throw new P2PError("READ_FAILED", "the disk is torn");
      },
    });
    const comparing = side === "source" ? compare(broken, endless) : compare(endless, broken);
    await expect(comparing).rejects.toMatchObject({ code: "READ_FAILED", message: "the disk is torn" });
    expect(signal?.aborted).toBe(true);
  });
});
