import { existsSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../src/config.ts";
import {
  type DeadLetter,
  type DeadLetterSink,
  MemoryCheckpointStore,
  type MirrorOptions,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  verify,
} from "../../src/index.ts";
import { mirrorWith } from "../../src/live/mirror.ts";
import type { MirrorProgress } from "../../src/live/options.ts";
import { type DeleteRef, idKey, type P2PId } from "../../src/starter.ts";
import { LiveStore } from "../support/live-store.ts";
import { records } from "../support/scripted-store.ts";

const config = parseConfig({ maxRetries: 2, retryDelay: 0, maxRetryDelay: 0 });
const end = (service: LiveStore, endpointId: string) => ({
  service,
  endpoint: { endpointId, storageType: "live", database: endpointId, metadata: { password: "planted-s3cr3t" } },
});

function mirror(source: LiveStore, target: LiveStore, options: MirrorOptions = {}, query: P2PQuery = {}) {
  return mirrorWith(
    end(source, "a"),
    end(target, "b"),
    query,
    { deletes: "remove", deadLetters: false, ...options },
    config,
  );
}

/** A target that differs from 1000 records in ten changed, ten missing and ten of its own. */
function drifted(): LiveStore {
  const target = new LiveStore(records(1000).slice(10));
  for (let at = 10; at < 20; at++)
    target.content.set(`r${String(at).padStart(5, "0")}`, { id: `r${String(at).padStart(5, "0")}`, at: -1 });
  for (let at = 0; at < 10; at++) target.content.set(`x${at}`, { id: `x${at}`, at });
  return target;
}

const untouched = (target: LiveStore) => expect([target.writes, target.deletes]).toEqual([0, 0]);

afterEach(() => {
  if (existsSync(".omni-p2p")) throw new Error("a mirror left a folder");
});

describe("a mirror", () => {
  it("writes and deletes the differences and nothing else, and the second one does nothing", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    const result = await mirror(source, target);
    expect(result).toMatchObject({
      missing: 10,
      different: 10,
      extra: 10,
      successCount: 20,
      deletedCount: 10,
      failureCount: 0,
    });
    expect([target.writes, target.deletes]).toEqual([20, 10]);
    expect(await verify(end(source, "a"), end(target, "b"), {})).toMatchObject({ equal: true });
    expect(await mirror(source, target)).toMatchObject({ successCount: 0, deletedCount: 0, totalRecords: 0 });
    expect([target.writes, target.deletes]).toEqual([20, 10]);
  });

  it("writes and deletes records whatever text their ids are", async () => {
    const texts = ["\u2028", "a\u2029b", "\n", "\r", '"', "\u0085", "\\u2028"];
    const [source, target] = [new LiveStore(), new LiveStore()];
    for (const [at, id] of texts.entries()) (at % 2 === 0 ? source : target).content.set(id, { id });
    expect(await mirror(source, target)).toMatchObject({ successCount: 4, deletedCount: 3, failureCount: 0 });
    expect(target.records).toEqual(source.records);
  });

  it("keeps what only the target has when it is told so", async () => {
    const target = drifted();
    const result = await mirror(new LiveStore(records(1000)), target, { deletes: "keep" });
    expect(result).toMatchObject({ deletedCount: 0, keptCount: 10, successCount: 20 });
    expect(target.deletes).toBe(0);
  });

  it("must be told what becomes of extras at the first time, and remembers it", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    const checkpoint = new MemoryCheckpointStore();
    const untold = { deletes: undefined, transferId: "nightly", checkpoint };
    await expect(mirror(source, target, untold)).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    untouched(target);
    await mirror(source, target, { ...untold, deletes: "keep" });
    expect(await mirror(source, target, untold)).toMatchObject({ deletes: "keep", keptCount: 10 });
    expect(await mirror(source, new LiveStore(), untold)).toMatchObject({ successCount: 1000 });
    expect(await mirror(source, new LiveStore(), { deletes: undefined })).toMatchObject({ deletes: "remove" });
  });

  it("remembers it for the same records of the same target alone", async () => {
    const source = new LiveStore(records(1000));
    const checkpoint = new MemoryCheckpointStore();
    const options: MirrorOptions = { deadLetters: false, transferId: "nightly", checkpoint };
    const first = { ...options, deletes: "remove" } as const;
    await mirrorWith(end(source, "a"), end(drifted(), "b"), {}, first, config);
    const refused: [source: string, target: string, query: P2PQuery, more: MirrorOptions, incarnation: string][] = [
      ["a", "other", {}, {}, "1"],
      ["other", "b", {}, {}, "1"],
      ["a", "b", { where: { at: { gte: 0 } } }, {}, "1"],
      ["a", "b", {}, { targetQuery: {} }, "1"],
      ["a", "b", {}, {}, "another of its name"],
    ];
    for (const [from, to, query, more, incarnation] of refused) {
      const target = drifted();
      target.incarnation = incarnation;
      await expect(
        mirrorWith(end(source, from), end(target, to), query, { ...options, ...more }, config),
      ).rejects.toMatchObject({ code: "INVALID_CONFIG" });
      untouched(target);
    }
    const transform: MirrorOptions["transform"] = (record) => record;
    expect(
      await mirrorWith(end(source, "a"), end(drifted(), "b"), {}, { ...options, transform }, config),
    ).toMatchObject({ deletes: "remove", deletedCount: 10 });
  });

  it("goes by no checkpoint that is torn, unless it is to resume", async () => {
    const checkpoint = new MemoryCheckpointStore();
    checkpoint.load = async () => {
      throw new P2PError("CHECKPOINT_INVALID", "the file is cut off");
    };
    const options = { transferId: "nightly", checkpoint };
    const source = new LiveStore(records(1000));
    await expect(mirror(source, drifted(), { ...options, resume: true })).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    expect(await mirror(source, drifted(), options)).toMatchObject({ deletedCount: 10 });
  });

  it("tells what it would do in a dry run, with samples, and changes nothing", async () => {
    const target = drifted();
    const result = await mirror(new LiveStore(records(1000)), target, { dryRun: true });
    expect(result).toMatchObject({ missing: 10, different: 10, extra: 10, successCount: 0, deletedCount: 0 });
    expect(result.samples?.find(({ kind }) => kind === "different")).toMatchObject({
      id: "r00010",
      fields: [{ field: "at", source: "10", target: "-1" }],
    });
    untouched(target);
    const refused = await mirror(new LiveStore(), target, { dryRun: true });
    expect(refused.refusal).toMatchObject({ code: "EMPTY_SOURCE" });
  });

  it("restricts the target by the conditions of the query", async () => {
    const source = new LiveStore([
      { id: "1", type: "a" },
      { id: "2", type: "b" },
      { id: "moved", type: "b" },
    ]);
    const target = new LiveStore([
      { id: "x", type: "a" },
      { id: "y", type: "c" },
      { id: "moved", type: "a" },
    ]);
    expect(await mirror(source, target, {}, { type: "a" })).toMatchObject({ successCount: 1, deletedCount: 2 });
    expect([...target.content.keys()].sort()).toEqual(["1", "y"]);
  });

  it("tells its progress, and its letters hold ids alone", async () => {
    const told: MirrorProgress[] = [];
    const letters: DeadLetter[] = [];
    const deadLetters: DeadLetterSink = {
      location: "here",
      open: async () => {},
      write: async (more) => letters.push(...more),
      close: async () => {},
    };
    const source = new LiveStore(records(20));
    source.unreadable.add("r00003");
    const result = await mirror(source, new LiveStore(), {
      deadLetters,
      onProgress: (progress) => told.push(progress),
    });
    expect(result).toMatchObject({ successCount: 19, failureCount: 1, unreadable: 1, deadLetters: "here" });
    expect(letters).toMatchObject([{ id: "r00003", phase: "read", code: "READ_FAILED" }]);
    expect(letters[0]).not.toHaveProperty("record");
    expect(new Set(told.map(({ phase }) => phase))).toEqual(new Set(["comparing", "writing"]));
  });
});

describe("a mirror into a store that keeps ids of one text and several types apart", () => {
  const idForm = (id: P2PId) => `${typeof id} ${idKey(id)}`;
  const of = (...list: P2PRecord[]) => new LiveStore(list, idForm);
  const theirs = { id: "2", of: "another writer" };

  it.each<[string, source: P2PRecord[], target: P2PRecord[]]>([
    ["another form of the id", [{ id: 1, v: 1 }], [{ id: "1", v: 1 }]],
    ["another form of the id, the other way round", [{ id: "1", v: 1 }], [{ id: 1, v: 1 }]],
    [
      "both forms, one of them as it should be",
      [{ id: 1, v: 1 }],
      [
        { id: 1, v: 1 },
        { id: "1", v: 1 },
      ],
    ],
    [
      "both forms, neither as it should be",
      [{ id: "1", v: 2 }],
      [
        { id: 1, v: 1 },
        { id: "1", v: 1 },
      ],
    ],
    [
      "both forms of an id that is gone",
      [],
      [
        { id: 1, v: 1 },
        { id: "1", v: 1 },
      ],
    ],
  ])("ends with the one record of the source where it has %s", async (_, ours, before) => {
    const [source, target] = [of({ id: "2", of: "another writer" }, ...ours), of(theirs, ...before)];
    const result = await mirror(source, target);
    expect(target.records).toEqual(source.records);
    expect(result.failureCount).toBe(0);
    const { writes, deletes } = target;
    expect(await mirror(source, target)).toMatchObject({ missing: 0, different: 0, extra: 0 });
    expect(target).toMatchObject({ writes, deletes });
  });

  it("writes the new form before it takes out the old one, which it does also where extras are kept", async () => {
    const [source, target] = [of({ id: 1 }), of({ id: "1" }, theirs)];
    target.before = (call) => {
      if (call === "delete") expect([...target.content.keys()]).toContain("number 1");
    };
    expect(await mirror(source, target, { deletes: "keep" })).toMatchObject({ successCount: 1, keptCount: 1 });
    expect(target.records).toEqual([{ id: 1 }, theirs]);
  });

  it("goes on where it was killed between the two", async () => {
    const [source, target] = [of({ id: 1 }), of({ id: "1" })];
    target.before = (call) => {
      if (call === "delete") throw new P2PError("CLOSED", "the process was killed");
    };
    await expect(mirror(source, target)).rejects.toMatchObject({ code: "CLOSED" });
    expect(target.content.size).toBe(2);
    target.before = () => {};
    await mirror(source, target);
    expect(target.records).toEqual([{ id: 1 }]);
  });

  it("leaves one that another writer has changed meanwhile", async () => {
    const [source, target] = [of({ id: 1 }), of({ id: "1" })];
    target.before = (call) => {
      if (call === "delete") target.content.set("string 1", { id: "1", mine: true });
    };
    await mirror(source, target);
    expect(target.records).toEqual([{ id: 1 }, { id: "1", mine: true }]);
  });

  it("refuses two forms in the source, of which the target has one", async () => {
    await expect(mirror(of({ id: 1, v: 1 }, { id: "1", v: 2 }), of({ id: 1, v: 1 }))).rejects.toMatchObject({
      code: "AMBIGUOUS_ID",
    });
  });
});

describe("a mirror's guards", () => {
  it("stop it before the first delete when there would be too many, with the number", async () => {
    const target = new LiveStore(records(1200));
    const source = new LiveStore(records(1000));
    await expect(mirror(source, target)).rejects.toMatchObject({
      code: "TOO_MANY_DELETES",
      message: expect.stringContaining("200 of the 1200"),
    });
    untouched(target);
    await expect(mirror(source, target, { maxDeletes: 199 })).rejects.toMatchObject({ code: "TOO_MANY_DELETES" });
    expect(await mirror(source, target, { maxDeletes: "20%" })).toMatchObject({ deletedCount: 200 });
    // Never fewer than 100 by themselves.
    expect(await mirror(new LiveStore(records(5)), new LiveStore(records(100)))).toMatchObject({ deletedCount: 95 });
  });

  it("refuse an empty source unless it is allowed", async () => {
    const target = new LiveStore(records(1000));
    await expect(mirror(new LiveStore(), target)).rejects.toMatchObject({ code: "EMPTY_SOURCE" });
    untouched(target);
    expect(await mirror(new LiveStore(), target, { allowEmptySource: true })).toMatchObject({ deletedCount: 1000 });
  });

  it("refuse an empty source also where a record of the target cannot be read", async () => {
    const target = new LiveStore(records(50));
    target.unreadable.add("r00003");
    await expect(mirror(new LiveStore(), target)).rejects.toMatchObject({ code: "EMPTY_SOURCE" });
    untouched(target);
  });

  it("let nothing be deleted while records of the source cannot be read", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    source.unreadable.add("r00500");
    const result = await mirror(source, target);
    expect(result).toMatchObject({ deletedCount: 0, keptCount: 10, unreadable: 1, successCount: 20 });
    expect(result.notes?.join()).toContain("Nothing was deleted");
    expect(target.deletes).toBe(0);
  });

  it("let nothing be deleted where a record cannot be read any more when both sides are read once more", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    let reads = 0;
    source.before = (call) => {
      if (call === "read" && ++reads === 3) source.unreadable.add("r00500");
    };
    expect(await mirror(source, target)).toMatchObject({ deletedCount: 0, keptCount: 10 });
    expect(target.deletes).toBe(0);
  });

  it.each<[string, (source: LiveStore) => unknown]>([
    ["emptied", (source) => source.content.clear()],
    ["replaced", (source) => Object.assign(source, { incarnation: "2" })],
    ["dropped", (source) => Object.assign(source, { incarnation: undefined })],
    [
      "unreachable",
      (source) => {
        const lost = () => {
          throw new P2PError("CONNECTION_LOST", "it is gone");
        };
        source.before = lost;
        lost();
      },
    ],
  ])("let nothing be deleted on the word of a source that is %s in its middle, whenever that is", async (_, harm) => {
    for (let at = 0; at < 100; at++) {
      const source = new LiveStore(records(60));
      const target = new LiveStore([...records(60), ...Array.from({ length: 40 }, (__, x) => ({ id: `x${x}` }))]);
      let calls = 0;
      let harmed = false;
      let hasSpokenSince = false;
      const steady = new Set(records(60).map(({ id }) => String(id)));
      source.before = (call) => {
        if (calls++ === 1 + (at % 20)) {
          harmed = true;
          harm(source);
        }
        if (harmed && (call === "read" || call === "lookUp")) hasSpokenSince = true;
      };
      target.deleted = (id) => {
        if (hasSpokenSince || steady.has(id)) throw new Error(`${id} was deleted`);
      };
      await mirror(source, target, { batchSize: 20 }).catch((error: P2PError) => {
        expect(["STORE_CHANGED", "CONNECTION_LOST", "EMPTY_SOURCE", "TOO_MANY_DELETES"]).toContain(error.code);
      });
      for (const id of steady) expect(target.content.has(id)).toBe(true);
    }
  });

  it("take an answer in part, or one that failed, for no absence", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    source.answer = (outcome) =>
      outcome.state === "absent" ? { state: "failed", error: new P2PError("READ_FAILED", "?") } : outcome;
    expect(await mirror(source, target)).toMatchObject({ deletedCount: 0, failureCount: 10 });
    const other = new LiveStore(records(1000));
    const lookUp = other.lookUp.bind(other);
    other.lookUp = async (refs, query) => (await lookUp(refs, query)).slice(1);
    await expect(mirror(other, drifted())).rejects.toMatchObject({ code: "STARTER_INCOMPATIBLE" });
  });

  it("leave what a writer of the target's own has changed since it was read", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    target.before = (call) => {
      if (call === "delete") target.content.set("x1", { id: "x1", mine: true });
      if (call === "lookUp" && target.content.has("x2")) target.content.set("x2", { id: "x2", mine: true });
    };
    expect(await mirror(source, target)).toMatchObject({ deletedCount: 8, keptCount: 2 });
    expect(target.content.get("x1")).toEqual({ id: "x1", mine: true });
    expect(target.content.get("x2")).toEqual({ id: "x2", mine: true });
  });

  it("write again what came back when the delete had been sent", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    target.after = (call) => {
      if (call === "delete") source.content.set("x5", { id: "x5", back: true });
    };
    await mirror(source, target);
    expect(target.content.get("x5")).toEqual({ id: "x5", back: true });
  });

  it.each([true, false])("mind the deletes of two killed runs in a third one (resumed: %s)", async (resume) => {
    const checkpoint = new MemoryCheckpointStore();
    const options = { checkpoint, transferId: "nightly", batchSize: 1, resume };
    const source = new LiveStore(records(10));
    const target = new LiveStore([...records(10), { id: "x1" }, { id: "x2" }]);
    const killed = new P2PError("CLOSED", "the process was killed");
    let onTheWay: readonly DeleteRef[] = [];
    target.before = (call, refs) => {
      if (call !== "delete") return;
      // It comes back after the last look-up, and what was sent stays on the way.
      if (onTheWay.length === 0) {
        onTheWay = refs as readonly DeleteRef[];
        source.content.set(String(refs[0]!.id), { id: refs[0]!.id });
      }
      throw killed;
    };
    for (let run = 0; run < 2; run++) await expect(mirror(source, target, options)).rejects.toThrow("killed");
    const [first] = onTheWay;
    expect(target.content.has(String(first!.id))).toBe(true);
    let landed = 0;
    target.before = (call) => {
      if (call === "delete" && landed === 0) landed = target.applyDelete(onTheWay).deleted;
    };
    await mirror(source, target, options);
    expect(landed).toBe(1);
    expect(target.records).toEqual(source.records);
  });

  it("write what came back as the transform makes it, which may change the record that it is given", async () => {
    const [source, target] = [new LiveStore(records(1000)), drifted()];
    const transform: MirrorOptions["transform"] = (record) => Object.assign(record, { at: Number(record.at) + 1 });
    target.after = (call) => {
      if (call !== "delete") return;
      source.content.set("x5", { id: "x5", at: 5 });
      target.content.set("x5", { id: "x5", at: 100 });
    };
    await mirror(source, target, { transform, targetQuery: {}, maxDeletes: "all" });
    expect(target.content.get("x5")).toEqual({ id: "x5", at: 6 });
  });
});

describe("what a mirror refuses", () => {
  const refusing = (options: MirrorOptions, query: P2PQuery = {}, target = drifted()) => {
    const result = mirror(new LiveStore(records(1000)), target, options, query);
    return expect(result.finally(() => untouched(target))).rejects;
  };

  it("is a transform that changes ids or makes several records of one", async () => {
    await refusing({ transform: (record) => ({ ...record, id: `new-${String(record.id)}` }) }).toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringContaining("another id"),
    });
    await refusing({ transform: async (record) => [record, { ...record }] as P2PRecord[] }).toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringContaining("2 records"),
    });
  });

  it("is a filter that the target cannot be asked for, unless it has a query of its own", async () => {
    const transform: MirrorOptions["transform"] = (record) => ({ ...record, more: 1 });
    const query = { where: { at: { gte: 0 } } };
    await refusing({ transform }, query).toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringContaining("targetQuery"),
    });
    await refusing({}, { native: { live: {} } } as P2PQuery).toMatchObject({ code: "INVALID_CONFIG" });
    await refusing({}, { where: { at: { gte: 0 } }, fields: ["title"] }).toMatchObject({ code: "INVALID_CONFIG" });
    const target = new LiveStore([{ id: "x" }]);
    expect(await mirror(new LiveStore(records(3)), target, { transform, targetQuery: {} }, query)).toMatchObject({
      successCount: 3,
      deletedCount: 1,
    });
  });

  it("is a query of which no record can be asked by id", async () => {
    await refusing({}, { limit: 5 }).toMatchObject({ code: "UNSUPPORTED_QUERY" });
    await refusing({ targetQuery: {} }, { native: { live: {} } } as P2PQuery).toMatchObject({
      code: "UNSUPPORTED_QUERY",
    });
  });

  it("is an option that means nothing to it, or has a wrong value", async () => {
    for (const wrong of [
      { mode: "insert" },
      { partitions: 2 },
      { deletes: "all" },
      { maxDeletes: -1 },
      { dryRun: 1 },
      { allowEmptySource: "yes" },
      { onProgress: 1 },
    ]) {
      await refusing(wrong as MirrorOptions).toMatchObject({ code: "INVALID_CONFIG" });
    }
  });

  it("is an id that two records have", async () => {
    const target = drifted();
    const source = new LiveStore(records(1000));
    source.content.set("zz", { id: "r00001", at: 5 });
    await expect(mirror(source, target)).rejects.toMatchObject({
      code: "AMBIGUOUS_ID",
      message: expect.stringContaining("r00001"),
    });
    untouched(target);
  });

  it("is a store that cannot delete, or look up", async () => {
    const target = drifted();
    Object.assign(target, { capabilities: { ...target.capabilities, deletes: false } });
    await expect(mirror(new LiveStore(records(3)), target)).rejects.toMatchObject({ code: "UNSUPPORTED_OPERATION" });
    expect(await mirror(new LiveStore(records(3)), target, { deletes: "keep" })).toMatchObject({ successCount: 3 });
  });
});
