import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MemoryCheckpointStore, type TransferOptions } from "../../src/index.ts";
import { idKey } from "../../src/starter.ts";
import { RawStore } from "../support/raw-store.ts";
import { busy, lost, records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { ending, expectNoUnhandledRejections, LetterBox, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

describe("the raw lane", () => {
  it("is taken between two stores that know each other's form", async () => {
    const source = new RawStore(records(25));
    const target = new RawStore();
    const result = await transfer(source, target, { batchSize: 10 });
    expect(result).toMatchObject({ totalRecords: 25, successCount: 25, failureCount: 0 });
    expect([...target.content.values()]).toEqual(records(25));
    expect([source.rawReads, target.rawWrites, source.decoded]).toEqual([1, 3, 0]);
  });

  it.each<[string, ScriptedStore, ScriptedStore, TransferOptions]>([
    ["there is a transform", new RawStore(records(5)), new RawStore(), { transform: (record) => record }],
    ["the target does not take the form", new RawStore(records(5)), new RawStore([], {}, "scripted:other"), {}],
    ["the target has none", new RawStore(records(5)), new ScriptedStore(), {}],
    ["the source has none", new ScriptedStore(records(5)), new RawStore(), {}],
  ])("is left alone when %s", async (_, source, target, options) => {
    await transfer(source, target, options);
    expect([...target.content.values()]).toEqual(records(5));
    expect((source as RawStore).rawReads ?? 0).toBe(0);
    expect((target as RawStore).rawWrites ?? 0).toBe(0);
  });

  it("sends again by index what failed for the moment, and only that", async () => {
    const target = new RawStore([], {
      write: (call) =>
        withFailures(call, ({ id }) => (call.number < 2 && /[37]$/.test(idKey(id)) ? busy() : undefined)),
    });
    const result = await transfer(new RawStore(records(10)), target, { batchSize: 10 });
    expect(result).toMatchObject({ successCount: 10, failureCount: 0, retryCount: 4 });
    expect(target.sent.map((sent) => sent.length)).toEqual([10, 2, 2]);
  });

  it("decodes what is refused for good, for the dead letters, as the record lane has it", async () => {
    const run = async (raw: boolean) => {
      const script = { write: (call: Parameters<typeof withFailures>[0]) => withFailures(call, ({ id }) => wrong(id)) };
      const wrong = (id: unknown) => (/[29]$/.test(String(id)) ? refused() : undefined);
      const source = new RawStore(records(30), { unreadable: new Set([4, 12]) });
      const target = raw ? new RawStore([], script) : new ScriptedStore([], script);
      const box = new LetterBox();
      const { errors, ...counts } = await transfer(source, target, { batchSize: 7, deadLetters: box });
      const letters = box.letters.map(({ at: _, transferId: __, ...letter }) => letter);
      expect(source.rawReads).toBe(raw ? 1 : 0);
      expect(source.decoded).toBe(raw ? 5 : 0);
      return { letters, errors, counts: [counts.totalRecords, counts.successCount, counts.failureCount] };
    };
    const raw = await run(true);
    expect(raw).toEqual(await run(false));
    expect(raw.counts).toEqual([30, 23, 7]);
    expect(raw.letters.map(({ id }) => id)).toEqual([
      "r00002",
      "r00004",
      "r00009",
      "r00012",
      "r00019",
      "r00022",
      "r00029",
    ]);
  });

  it("tells the id that the target gave of a document that cannot be decoded", async () => {
    const source = new RawStore(records(3));
    Object.assign(source.rawSource, {
      decode: () => {
        throw new Error("not a record of this store");
      },
    });
    const target = new RawStore([], {
      write: (call) => withFailures(call, ({ id }) => (id === "r00001" ? refused() : undefined)),
    });
    const box = new LetterBox();
    const result = await transfer(source, target, { deadLetters: box });
    expect(result).toMatchObject({ successCount: 2, failureCount: 1 });
    expect(box.letters).toMatchObject([{ id: "r00001", position: 1, code: "TYPE_MISMATCH" }]);
    expect(box.letters[0]).not.toHaveProperty("record");
  });

  it("reads on after a loss, from the last cursor and within the limit", async () => {
    let losses = 0;
    const source = new RawStore(records(40), {
      read: ({ number }) => {
        if (number === 2 && losses++ === 0) throw lost();
      },
    });
    const target = new RawStore();
    await transfer(source, target, { batchSize: 7 }, { query: { limit: 33, offset: 2 } });
    expect([...target.content.values()]).toEqual(records(40).slice(2, 35));
    expect(source.rawReads).toBe(2);
  });

  it("and the record lane go on from each other's checkpoints", async () => {
    await fc.assert(
      fc.asyncProperty(fc.boolean(), fc.integer({ min: 0, max: 5 }), async (rawFirst, kill) => {
        const options = { batchSize: 5, concurrency: 1, transferId: "both", checkpoint: new MemoryCheckpointStore() };
        const first = rawFirst ? new RawStore() : new ScriptedStore();
        first.script = {
          write: (call) => {
            if (call.number === kill) throw refused("WRITE_FAILED");
            return call.apply();
          },
        };
        await ending(transfer(new RawStore(records(30)), first, options));
        const second = rawFirst
          ? new ScriptedStore([...first.content.values()])
          : new RawStore([...first.content.values()]);
        const result = await transfer(new RawStore(records(30)), second, { ...options, resume: true });
        expect(result).toMatchObject({ totalRecords: 30, successCount: 30 });
        expect(second.ids).toEqual(records(30).map(({ id }) => id));
        expect(second.sent.flat()).toHaveLength(30 - kill * 5);
      }),
    );
  });
});
