import { describe, expect, it } from "vitest";
import type { P2PRecord, Transform } from "../../src/index.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

async function through(transform: Transform, list: readonly P2PRecord[] = records(3), options: object = {}) {
  const target = new ScriptedStore();
  const box = new LetterBox();
  const result = await transfer(new ScriptedStore(list), target, { transform, deadLetters: box, ...options });
  return { target, result, letters: box.letters, written: target.sent.flat() };
}

/** A promise of another library. */
function thenable(record: P2PRecord): unknown {
  // biome-ignore lint/suspicious/noThenProperty: that is what makes it one
  return { then: (resolve: (record: P2PRecord) => void) => resolve(record) };
}

expectNoUnhandledRejections();

describe("a transform", () => {
  it("may be a plain function or asynchronous, and keeps the order", async () => {
    const plain = await through(({ id, at }) => ({ id, headline: `no ${String(at)}` }));
    expect(plain.written).toEqual([0, 1, 2].map((at) => ({ id: `r0000${at}`, headline: `no ${at}` })));
    const late = await through(
      async (record) => {
        await new Promise((resolve) => setTimeout(resolve, 3 - ((record.at as number) % 4)));
        return record;
      },
      records(50),
      { batchSize: 20, concurrency: 1 },
    );
    expect(late.written.map(({ at }) => at)).toEqual(Array.from({ length: 50 }, (_, at) => at));
  });

  it("may be asynchronous for some records only, by any thenable", async () => {
    const { written } = await through((record) => {
      if (record.at === 0) return record;
      if (record.at === 1) return thenable({ ...record, thenable: true }) as never;
      return Promise.resolve(record);
    });
    expect(written).toEqual([
      { id: "r00000", at: 0 },
      { id: "r00001", at: 1, thenable: true },
      { id: "r00002", at: 2 },
    ]);
  });

  it("may change the record it is given", async () => {
    const { written } = await through((record) => Object.assign(record as { seen?: boolean }, { seen: true }) as never);
    expect(written.every(({ seen }) => seen === true)).toBe(true);
  });

  it.each<[string, ReturnType<Transform>]>([
    ["null", null],
    ["undefined", undefined],
    ["an empty list", []],
    ["a promise of null", Promise.resolve(null)],
  ])("drops a record by %s", async (_, dropped) => {
    const { result, written } = await through((record) => (record.at === 1 ? dropped : record));
    expect(written.map(({ at }) => at)).toEqual([0, 2]);
    expect(result).toMatchObject({ totalRecords: 3, successCount: 2, skippedCount: 1, failureCount: 0 });
  });

  it("may make several of one, in batches no larger than said", async () => {
    const { target, result, written } = await through(
      (record) => [1, 2, 3].map((n) => ({ id: `${String(record.id)}/${n}` })),
      records(4),
      { batchSize: 2, concurrency: 1 },
    );
    expect(written.map(({ id }) => id)).toEqual(
      records(4).flatMap(({ id }) => [1, 2, 3].map((n) => `${String(id)}/${n}`)),
    );
    expect(Math.max(...target.sent.map((sent) => sent.length))).toBeLessThanOrEqual(2);
    expect(result).toMatchObject({ totalRecords: 12, successCount: 12, checkpoint: { recordsRead: 4 } });
  });

  it("fills its batches when it drops much, and gets on when it drops everything", async () => {
    const few = await through((record) => ((record.at as number) % 10 === 0 ? record : null), records(1000), {
      batchSize: 20,
    });
    expect(few.written).toHaveLength(100);
    expect(few.target.sent.length).toBeLessThanOrEqual(10);
    const none = await through(() => null, records(1000), { batchSize: 5 });
    expect(none.target.sent).toEqual([]);
    expect(none.result).toMatchObject({ totalRecords: 1000, skippedCount: 1000, checkpoint: { recordsRead: 1000 } });
  });

  it.each<[string, Transform, RegExp]>([
    [
      "throws",
      () => {
        throw new Error("a title is missing");
      },
      /^The transform failed on record "r00000": a title is missing$/,
    ],
    [
      "throws what is no error",
      () => {
        throw "tantrum";
      },
      /: tantrum$/,
    ],
    [
      "throws nothing",
      () => {
        throw undefined;
      },
      /: undefined$/,
    ],
    [
      "rejects",
      async () => {
        throw new Error("no answer");
      },
      /: no answer$/,
    ],
  ])("that %s makes the record a failure and goes on", async (_, fails, reason) => {
    const { result, letters, written } = await through((record, context) =>
      record.at === 0 ? fails(record, context) : record,
    );
    expect(written).toHaveLength(2);
    expect(result).toMatchObject({ totalRecords: 3, successCount: 2, failureCount: 1 });
    expect(letters).toMatchObject([
      { id: "r00000", phase: "transform", code: "TRANSFORM_FAILED", attempts: 0, position: 0 },
    ]);
    expect(letters[0]!.reason).toMatch(reason);
    expect(letters[0]!.record).toEqual({ id: "r00000", at: 0 });
  });

  it.each<[string, unknown, RegExp]>([
    ["text", "junk", /not string/],
    ["true", true, /not boolean/],
    ["a record without an id", { title: "x" }, /no id/],
    ["an empty id", { id: "" }, /id is empty/],
    ["an invalid date", { id: 1, at: new Date(Number.NaN) }, /record\.at is an invalid date/],
    ["null in a list", [null], /not null/],
    ["a map", new Map(), /no id/],
  ])("that returns %s makes the record a failure", async (_, junk, reason) => {
    const { result, letters } = await through((record) => (record.at === 0 ? (junk as P2PRecord) : record));
    expect(result).toMatchObject({ totalRecords: 3, successCount: 2, failureCount: 1 });
    expect(letters).toMatchObject([{ id: "r00000", phase: "transform", code: "INVALID_RECORD" }]);
    expect(letters[0]!.reason).toMatch(reason);
    expect(letters[0]!.reason).toMatch(/the transform returned this/);
  });

  it("is told when the transfer is cancelled", async () => {
    const controller = new AbortController();
    let told = false;
    await through(
      (record, { signal }) => {
        signal.addEventListener("abort", () => {
          told = true;
        });
        controller.abort();
        return record;
      },
      records(1),
      { signal: controller.signal },
    ).catch(() => {});
    expect(told).toBe(true);
  });
});

describe("without a transform", () => {
  it.each<[string, unknown, string, RegExp]>([
    ["no id", { title: "x" }, "", /no id/],
    ["an empty id", { id: "" }, "", /id is empty/],
    ["a bad field", { id: 7, f: () => 1 }, "7", /record\.f is a function/],
    ["an invalid date", { id: "a", d: new Date(Number.NaN) }, "a", /invalid date/],
    ["no object", "text", "", /not string/],
    ["a lone surrogate", { id: "a", t: "\ud800" }, "a", /lone surrogate/],
    ["an invalid date as id", { id: new Date(Number.NaN) }, "", /invalid date/],
    [
      "a circle",
      (() => {
        const circle: Record<string, unknown> = { id: "c" };
        circle.self = circle;
        return circle;
      })(),
      "c",
      /circle/,
    ],
  ])("a record with %s is a failure, and the rest goes on", async (_, bad, id, reason) => {
    const list = records(3);
    list[1] = bad as P2PRecord;
    const target = new ScriptedStore();
    const box = new LetterBox();
    const result = await transfer(new ScriptedStore(list), target, { deadLetters: box });
    expect(target.sent.flat().map(({ at }) => at)).toEqual([0, 2]);
    expect(result).toMatchObject({ totalRecords: 3, successCount: 2, failureCount: 1 });
    expect(box.letters).toMatchObject([{ id, phase: "read", code: "INVALID_RECORD", attempts: 0, position: 1 }]);
    expect(box.letters[0]!.reason).toMatch(reason);
  });

  it("ids are any text and size", async () => {
    const list = [" ", "\u{1f600}", "a/b?c=d&e", "\0", "x".repeat(100_000), "__proto__"].map(
      (id): P2PRecord => ({ id }),
    );
    const target = new ScriptedStore();
    expect(await transfer(new ScriptedStore(list), target)).toMatchObject({ successCount: 6, failureCount: 0 });
    expect(target.sent.flat()).toEqual(list);
  });
});
