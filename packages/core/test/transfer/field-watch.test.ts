import { describe, expect, it } from "vitest";
import { type P2PQuery, type P2PRecord, verify } from "../../src/index.ts";
import { projectRecord, type ReadOptions } from "../../src/starter.ts";
import { PartedStore } from "../support/parted-store.ts";
import { RawStore } from "../support/raw-store.ts";
import { records, type Script, ScriptedStore } from "../support/scripted-store.ts";
import { CheckpointLog, ending, expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** A scripted store that gives no more than the fields asked for, as real ones do. */
class ProjectingStore extends ScriptedStore {
  override async *readFromSource(query: P2PQuery, options: ReadOptions) {
    for await (const batch of super.readFromSource(query, options)) {
      yield { ...batch, records: batch.records.map((record) => projectRecord(record, query.fields)) };
    }
  }
}

const docs = (count = 300): P2PRecord[] =>
  records(count, (at) => ({ type: at % 2 === 0 ? "note" : "page", title: `t${at}` }));

const notesOf = async (query: P2PQuery, list: P2PRecord[] = docs(), script?: Script) => {
  const { notes } = await transfer(
    new ProjectingStore(list, script),
    new ScriptedStore(),
    { batchSize: 40 },
    { query },
  );
  return notes;
};

describe("a field that no record has", () => {
  it("is told of a condition that gives nothing, with the nearest name", async () => {
    expect(await notesOf({ where: { tpye: "note" } })).toEqual([
      'None of the first 100 records has a field "tpye", which where of the query names (did you mean "type"?)',
    ]);
    expect(await notesOf({ where: { Title: { prefix: "t" } } }, docs(1))).toEqual([
      'The first record has no field "Title", which where of the query names (did you mean "title"?)',
    ]);
    expect(await notesOf({ where: { nowhere: { gte: 1 } } }, docs(3))).toEqual([
      'None of the first 3 records has a field "nowhere", which where of the query names',
    ]);
  });

  it("is told of an order, of fields, of type for short, and of a condition that gives everything", async () => {
    expect(await notesOf({ orderBy: [{ field: "titel" }, "at"] })).toEqual([
      expect.stringMatching(/"titel", which orderBy of the query names \(did you mean "title"\?\)$/),
    ]);
    expect(await notesOf({ fields: ["id", "at", "titel"] })).toEqual([
      expect.stringMatching(/"titel", which fields of the query names \(did you mean "title"\?\)$/),
    ]);
    expect(await notesOf({ type: "note" }, records(5))).toEqual([
      'None of the first 5 records has a field "type", which type of the query names',
    ]);
    expect(await notesOf({ where: { tpye: { ne: "note" } }, fields: ["titel", "tpye"] })).toEqual([
      expect.stringMatching(/"tpye", which where and fields of the query names \(did you mean "type"\?\)$/),
      expect.stringMatching(/"titel"/),
    ]);
  });

  it("is told of a transfer in parts, once", async () => {
    const parted = await transfer(
      new PartedStore(300),
      new ScriptedStore(),
      { partitions: 4 },
      { query: { where: { att: { gt: 1 } } } },
    );
    expect(parted).toMatchObject({ partitions: 4, successCount: 0 });
    expect(parted.notes).toEqual([
      'None of the first 100 records has a field "att", which where of the query names (did you mean "at"?)',
    ]);
    const whole = await transfer(
      new ScriptedStore(docs()),
      new ScriptedStore(),
      { partitions: 4 },
      { query: { orderBy: "titel" } },
    );
    expect(whole.notes).toContainEqual(expect.stringContaining('"titel"'));
  });

  it("is told where documents take the short way, of which few are decoded", async () => {
    const source = new RawStore(docs(500));
    const query = { where: { tpye: { ne: "note" } } };
    const { notes, successCount } = await transfer(source, new RawStore(), { batchSize: 50 }, { query });
    expect(successCount).toBe(500);
    expect(source.rawReads).toBe(1);
    expect(notes).toEqual([expect.stringContaining('"tpye"')]);
    expect(source.decoded).toBeLessThanOrEqual(100 + 10);
  });

  it("is told of the source's records, whatever a transform makes of them", async () => {
    const transform = ({ id }: P2PRecord) => ({ id, tpye: 1 });
    const run = (query: P2PQuery) => transfer(new ScriptedStore(docs()), new ScriptedStore(), { transform }, { query });
    expect((await run({ where: { tpye: { ne: 2 } } })).notes).toEqual([expect.stringContaining('"tpye"')]);
    expect(await run({ where: { type: { ne: 2 } } })).not.toHaveProperty("notes");
  });

  it("is told by a comparison, of either query", async () => {
    const end = (store: ScriptedStore) => ({ service: store, endpoint: { endpointId: "x", storageType: "scripted" } });
    const ends = [end(new ScriptedStore(docs())), end(new ScriptedStore(docs()))] as const;
    const mistyped = await verify(...ends, { where: { tpye: "note" } });
    expect(mistyped).toMatchObject({ equal: true, sourceCount: 0 });
    expect(mistyped.notes).toEqual([expect.stringMatching(/"tpye".*did you mean "type"/)]);
    expect(await verify(...ends, { type: "note" })).not.toHaveProperty("notes");
    const besides = await verify(...ends, { type: "note" }, { targetQuery: { where: { typ: "note" } } });
    expect(besides.notes).toEqual([expect.stringMatching(/^In the target: .*"typ"/)]);
  });
});

describe("a field that some records have", () => {
  it("is no news, in whatever part of the query, and costs no further read", async () => {
    const source = new ScriptedStore(docs());
    const query: P2PQuery = { type: "note", where: { at: { gte: 5 } }, orderBy: "title", fields: ["id", "title"] };
    expect(await transfer(source, new ScriptedStore(), {}, { query })).not.toHaveProperty("notes");
    expect(source.reads).toBe(1);
    expect(await notesOf({ where: { id: "r00001" }, fields: ["id"], orderBy: "id" })).toBeUndefined();
  });

  it("is found where it is rare: a record that meets the condition has it, also after a resume", async () => {
    const list = docs().map((record, at) => (at === 250 ? { ...record, rare: 1 } : record));
    expect(await notesOf({ where: { rare: 1 } }, list)).toBeUndefined();
    expect(await notesOf({ where: { rare: { exists: true } }, fields: ["title"] }, list)).toBeUndefined();
    const unreadable = new Set([0]);
    expect(await notesOf({ where: { rare: 1 } }, list, { unreadable })).toBeUndefined();

    const late = docs().map((record, at) => (at >= 200 ? { ...record, late: at } : record));
    const checkpoints = new CheckpointLog();
    const query = { where: { late: { gte: 200 } } };
    const options = { batchSize: 10, checkpoint: checkpoints, transferId: "t" };
    const broken = new ScriptedStore(late, {
      read: ({ from }) => {
        if (from >= 90) throw new Error("broken");
      },
    });
    await ending(transfer(broken, new ScriptedStore(), options, { query }));
    const resumed = await transfer(
      new ScriptedStore(late),
      new ScriptedStore(),
      { ...options, resume: true },
      { query },
    );
    expect(resumed).toMatchObject({ successCount: 100, resumed: { successCount: 90 } });
    expect(resumed).not.toHaveProperty("notes");
  });

  it("is found where the order puts those without it first", async () => {
    const list = docs().map((record, at) => (at === 299 ? { ...record, priority: 1 } : record));
    expect(await notesOf({ orderBy: "priority" }, list)).toBeUndefined();
  });

  it("is found beyond the conditions, which may leave none that has it", async () => {
    const list = docs().map((record, at) => (at < 10 ? { ...record, archived: true } : record));
    expect(await notesOf({ where: { archived: { ne: true } } }, list)).toBeUndefined();
    expect(await notesOf({ where: { archived: null } }, list)).toBeUndefined();
    expect(await notesOf({ where: { archived: { exists: false } }, fields: ["title"] }, list)).toBeUndefined();
    expect(await notesOf({ where: { archived: "never" } }, list)).toBeUndefined();
  });
});

describe("a field that is asked to be absent", () => {
  it("is told of only where a name is near", async () => {
    expect(await notesOf({ where: { deletedAt: { exists: false } } })).toBeUndefined();
    expect(await notesOf({ where: { deletedAt: null } })).toBeUndefined();
    expect(await notesOf({ where: { titel: { exists: false } } })).toEqual([expect.stringMatching(/mean "title"/)]);
    expect(await notesOf({ where: { titel: null } })).toEqual([expect.stringMatching(/mean "title"/)]);
  });

  it("is not mistaken for its neighbour by number, nor for a very short name", async () => {
    const list = records(3, () => ({ line1: "a" }));
    expect(await notesOf({ where: { line2: { exists: false } } }, list)).toBeUndefined();
    expect(await notesOf({ where: { it: { exists: false } } }, list)).toBeUndefined();
  });
});

describe("a source that declares its fields", () => {
  const declaring = (list: P2PRecord[], complete: boolean) =>
    Object.assign(new ScriptedStore(list), {
      schema: async () => ({
        format: "scripted",
        definition: null,
        fields: { names: ["id", "title", "rare"], complete },
      }),
    });
  const run = async (source: ScriptedStore, query: P2PQuery) =>
    (await transfer(source, new ScriptedStore(), {}, { query })).notes;

  it("is believed of fields that no record shows", async () => {
    const source = declaring(docs(), false);
    expect(await run(source, { orderBy: "rare", where: { rare: { ne: 1 } } })).toBeUndefined();
    expect(source.reads).toBe(1);
    expect(await run(source, { where: { rar: 1 } })).toEqual([expect.stringMatching(/"rar".*did you mean "rare"/)]);
  });

  it("tells of others where it has no record to look at", async () => {
    expect(await run(declaring([], true), { where: { titel: 1 } })).toEqual([
      'The source declares no field "titel", which where of the query names (did you mean "title"?)',
    ]);
    expect(await run(declaring([], false), { where: { titel: 1 } })).toBeUndefined();
  });

  it("may fail to tell", async () => {
    const failing = Object.assign(new ScriptedStore(docs()), { schema: () => Promise.reject(new Error("no")) });
    const { notes } = await verify(
      { service: failing, endpoint: { endpointId: "a", storageType: "scripted" } },
      { service: new ScriptedStore(), endpoint: { endpointId: "b", storageType: "scripted" } },
      { where: { titel: 1 } },
    );
    expect(notes).toEqual([expect.stringContaining('"titel"')]);
  });
});

describe("the look beyond the conditions", () => {
  it("is for nothing where there is nothing", async () => {
    expect(await notesOf({ where: { tpye: "note" }, orderBy: "nope", fields: ["titel"] }, [])).toBeUndefined();
  });

  it("reads one batch more at most, and only before it tells", async () => {
    const source = new ScriptedStore(docs(1000));
    await transfer(source, new ScriptedStore(), {}, { query: { where: { tpye: 1 } } });
    expect(source).toMatchObject({ reads: 2, batchesRead: 1 });
    expect(source.readOptions.at(-1)).toMatchObject({ batchSize: 100 });
  });

  it("may fail or hang, and the transfer is as good", async () => {
    const query = { where: { tpye: "note" } };
    const failing = { read: () => Promise.reject(new Error("no more")) };
    expect(await notesOf(query, docs(), failing)).toBeUndefined();
    const started = performance.now();
    const hanging = { read: () => new Promise(() => {}) };
    expect(await notesOf(query, docs(), hanging)).toBeUndefined();
    expect(performance.now() - started).toBeLessThan(20_000);
  }, 30_000);

  it("tells what it knows of names that are no plain ones", async () => {
    expect(await notesOf({ where: { ["__proto__"]: 1, constructor: 1 } })).toEqual([
      expect.stringContaining('"__proto__"'),
      expect.stringContaining('"constructor"'),
    ]);
  });
});
