import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/engine.ts";
import {
  DefaultP2PTransferBridge,
  MemoryCheckpointStore,
  P2PError,
  type P2PQuery,
  type P2PRecord,
} from "../../src/index.ts";
import { matches, parseQuery, type ReadOptions, type RecordBatch, type StoreIdentity } from "../../src/starter.ts";
import { forever, lost, records, type Script, ScriptedStore } from "../support/scripted-store.ts";
import { ending, expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** A store that says what it is; what it says can be changed. */
function told(identity: StoreIdentity, list: readonly P2PRecord[] = [], script: Script = {}) {
  const says = { identity };
  const store = new ScriptedStore(list, { identity: async () => says.identity, ...script });
  return Object.assign(store, { says });
}

/** A target that is read as it was written, so that it can be asked for records by their ids. */
class Readable extends ScriptedStore {
  override async *readFromSource(query: object): AsyncGenerator<RecordBatch> {
    this.reads++;
    const { conditions } = parseQuery(query);
    const found = [...this.content.values()].filter((record) => matches(conditions, record));
    if (found.length > 0) yield { records: found, cursor: 0 };
  }
}

const unsure = { identity: async () => ({}) };
const checkpointed = () => ({
  transferId: "t",
  checkpoint: new MemoryCheckpointStore(),
  batchSize: 10,
  concurrency: 1,
});

/** A target of that kind that breaks at the sixth batch. */
const breaking = (script: Script): Script => ({
  ...script,
  write: ({ number, apply }) => {
    if (number === 5) throw new P2PError("WRITE_FAILED", "broken");
    return apply();
  },
});

describe("a store that knows its incarnation", () => {
  it("is kept in the checkpoint, the target from its first write on", async () => {
    let made = false;
    const target = new ScriptedStore([], {
      identity: async () => (made ? { incarnation: "t1", certain: true } : { certain: true }),
      write: ({ apply }) => {
        made = true;
        return apply();
      },
    });
    const { checkpoint } = await transfer(told({ incarnation: "s1", certain: true }, records(30)), target, {
      batchSize: 10,
    });
    expect(checkpoint.stores).toMatchObject({ source: { incarnation: "s1" }, target: { incarnation: "t1" } });
  });

  it.for(["source", "target"] as const)(
    "is not resumed when the %s is another one, nor when it is gone",
    async (side) => {
      for (const [after, word] of [
        [{ incarnation: "new", certain: true }, "replaced by another"],
        [{ certain: true }, "is gone"],
      ] as const) {
        const options = checkpointed();
        const source = told({ incarnation: "s", certain: true }, records(100));
        const target = told({ incarnation: "t", certain: true }, [], breaking({}));
        await ending(transfer(source, target, options));
        const before = await options.checkpoint.load("t");
        (side === "source" ? source : target).says.identity = after;
        const error: unknown = await transfer(source, target, { ...options, resume: true }).catch((thrown) => thrown);
        expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH" });
        expect((error as Error).message).toContain(`the ${side} scripted:`);
        expect((error as Error).message).toContain(word);
        expect(await options.checkpoint.load("t"), "the checkpoint is left as it was").toEqual(before);
      }
    },
  );

  it("makes no completed transfer of one whose target was dropped since", async () => {
    const options = checkpointed();
    const source = told({ incarnation: "s", certain: true }, records(20));
    const target = told({ incarnation: "t", certain: true });
    await transfer(source, target, options);
    expect(await transfer(source, target, { ...options, resume: true })).toMatchObject({ successCount: 20 });
    target.says.identity = { certain: true };
    await expect(transfer(source, target, { ...options, resume: true })).rejects.toMatchObject({
      code: "CHECKPOINT_MISMATCH",
    });
  });

  it.for(["source", "target"] as const)(
    "that changes during a transfer (%s) keeps it from being complete",
    async (side) => {
      const options = checkpointed();
      const source = told({ incarnation: "s", certain: true }, records(60));
      const target = told({ incarnation: "t", certain: true }, [], {
        write: ({ number, apply }) => {
          if (number === 3)
            (side === "source" ? source : target).says.identity = { incarnation: "other", certain: true };
          return apply();
        },
      });
      const error = await ending(transfer(source, target, options));
      expect(error).toMatchObject({ code: "STORE_CHANGED", result: { successCount: 60 } });
      expect(error.message).toContain(`The ${side} scripted:`);
      expect((await options.checkpoint.load("t"))?.status).toBe("running");
      await expect(transfer(source, target, { ...options, resume: true })).rejects.toMatchObject({
        code: "CHECKPOINT_MISMATCH",
      });
    },
  );

  it("is looked at when it comes back, before anything else is written to it", async () => {
    const target = told({ incarnation: "t", certain: true }, [], {
      write: ({ number, apply }) => {
        if (number !== 2) return apply();
        target.says.identity = { incarnation: "other", certain: true };
        throw lost();
      },
    });
    const source = told({ incarnation: "s", certain: true }, records(60));
    const error = await ending(transfer(source, target, { batchSize: 10, concurrency: 1 }));
    expect(error.code).toBe("STORE_CHANGED");
    expect(target.content.size).toBe(20);
  });

  it("may be away for the moment when it is asked, and a question that hangs ends with the transfer", async () => {
    let asked = 0;
    const identity = async () => {
      if (asked++ === 0) throw lost();
      return { incarnation: "s", certain: true };
    };
    const source = new ScriptedStore(records(5), { identity });
    expect(await transfer(source, new ScriptedStore())).toMatchObject({ successCount: 5 });
    source.script = { identity: () => forever() };
    const error = await ending(transfer(source, new ScriptedStore(), { transferTimeout: 30 }));
    expect(error.code).toBe("TIMEOUT");
  });

  it("is told by the parts of a transfer to each other", async () => {
    let made = 0;
    const source = new (class extends ScriptedStore {
      override async partitions() {
        return [{ where: { at: { lt: 10 } } }, { where: { at: { gte: 10 } } }];
      }
    })(records(20), {
      identity: async () => ({ incarnation: "s", certain: true }),
      capabilities: { partitionable: true, shareable: false },
    });
    // Each part finds a target of its own: it was dropped between the two.
    const target = new ScriptedStore([], {
      identity: async () => ({ certain: true, ...(made > 0 && { incarnation: `t${made}` }) }),
      write: ({ apply }) => {
        made++;
        return apply();
      },
    });
    const error = await ending(transfer(source, target, { partitions: 2 }));
    expect(error.code).toBe("STORE_CHANGED");
  });
});

describe("source and target that are one", () => {
  it("are refused unless it is asked for, and only where both say so", async () => {
    const one = () => told({ thing: "x", certain: true }, records(3));
    const error: unknown = await transfer(one(), one()).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "SAME_STORE" });
    expect((error as Error).message).toContain("allow_same_store");
    expect(await transfer(one(), one(), { allowSameStore: true })).toMatchObject({ successCount: 3 });
    expect(await transfer(one(), told({ thing: "y" }))).toMatchObject({ successCount: 3 });
    expect(await transfer(told({}, records(3)), told({}))).toMatchObject({ successCount: 3 });
    const elsewhere = { endpointId: "to", storageType: "other", database: "to" };
    expect(await transfer(one(), one(), {}, { targetEndpoint: elsewhere })).toMatchObject({ successCount: 3 });
  });

  it("are refused where the target is one of the things that the source is made of, or has one of them", async () => {
    const parts = () => told({ thing: "all", things: ["a", "b"], certain: true }, records(3));
    for (const target of [{ thing: "b" }, { thing: "c", things: ["d", "a"] }]) {
      await expect(transfer(parts(), told(target))).rejects.toMatchObject({ code: "SAME_STORE" });
      expect(await transfer(parts(), told(target), { allowSameStore: true })).toMatchObject({ successCount: 3 });
    }
    const one = () => told({ thing: "a" }, records(3));
    await expect(transfer(one(), told({ thing: "c", things: ["a"] }))).rejects.toMatchObject({ code: "SAME_STORE" });
    expect(await transfer(parts(), told({ thing: "c", things: ["d"] }))).toMatchObject({ successCount: 3 });
    expect(await transfer(told({}, records(3)), told({ things: [] }))).toMatchObject({ successCount: 3 });
  });

  it("are refused before the checkpoint of an earlier run is touched", async () => {
    const options = checkpointed();
    await transfer(told({ thing: "x" }, records(3)), told({ thing: "y" }), options);
    const before = await options.checkpoint.load("t");
    await transfer(told({ thing: "x" }, records(3)), told({ thing: "x" }), options).catch(() => {});
    expect(await options.checkpoint.load("t")).toEqual(before);
  });
});

describe("a store of which records are remembered", () => {
  it("is asked for records that it was given: an emptied target is told at the end", async () => {
    const target = new Readable([], {
      ...unsure,
      write: ({ number, apply }) => {
        if (number === 20) target.content.clear();
        return apply();
      },
    });
    const error = await ending(transfer(new ScriptedStore(records(400)), target, { batchSize: 10, concurrency: 1 }));
    expect(error).toMatchObject({ code: "STORE_CHANGED" });
    expect(error.message).toContain("r00000");
  });

  it("that is emptied while it is read has not been read to its end", async () => {
    let list = records(400);
    const source = new (class extends ScriptedStore {
      override async *readFromSource(query: P2PQuery, { batchSize, after }: ReadOptions): AsyncGenerator<RecordBatch> {
        const { conditions } = parseQuery(query);
        for (let from = Number(after ?? 0); ; from += batchSize) {
          const page = list.filter((record) => matches(conditions, record)).slice(from, from + batchSize);
          if (page.length === 0) return;
          yield { records: page, cursor: from + batchSize };
        }
      }
    })([], unsure);
    const target = new ScriptedStore([], {
      write: ({ number, apply }) => {
        if (number === 20) list = [];
        return apply();
      },
    });
    const error = await ending(transfer(source, target, { batchSize: 10, concurrency: 1 }));
    expect(error).toMatchObject({ code: "STORE_CHANGED" });
    expect(error.message).toContain("The source");
  });

  it("does not mistake single deletions, failed records or a vanishing store for emptying", async () => {
    const deleting = new Readable([], {
      ...unsure,
      write: ({ number, apply }) => {
        const result = apply();
        if (number === 20) for (const id of ["r00000", "r00003", "r00100"]) deleting.content.delete(id);
        return result;
      },
    });
    const source = new ScriptedStore(records(400));
    expect(await transfer(source, deleting, { batchSize: 10, concurrency: 1 })).toMatchObject({ successCount: 400 });
    const volatile = new Readable([], {
      identity: async () => ({ volatile: true }),
      write: ({ apply }) => {
        const result = apply();
        volatile.content.clear();
        return result;
      },
    });
    expect(await transfer(source, volatile, { batchSize: 10 })).toMatchObject({ successCount: 400 });
    expect(volatile.reads).toBe(0);
  });

  it("leaves nothing behind when the transfer is ended while it is asked", async () => {
    const stop = new AbortController();
    const target = new ScriptedStore([], {
      ...unsure,
      write: ({ number, apply }) => {
        if (number === 3) stop.abort();
        return apply();
      },
    });
    const run = transfer(new ScriptedStore(records(100)), target, { batchSize: 5, signal: stop.signal });
    expect((await ending(run)).code).toBe("ABORTED");
  });

  it("that gives back no record by its id is not asked again", async () => {
    const target = new ScriptedStore([], unsure);
    expect(await transfer(new ScriptedStore(records(100)), target, { batchSize: 10 })).toMatchObject({
      successCount: 100,
    });
    const failing = new ScriptedStore([], {
      ...unsure,
      read: () => {
        throw new P2PError("UNSUPPORTED_QUERY", "not by id");
      },
    });
    expect(await transfer(new ScriptedStore(records(100)), failing, { batchSize: 10 })).toMatchObject({
      successCount: 100,
    });
  });

  it("is not resumed when the source was refilled, and is when some records were deleted or changed", async () => {
    const run = async (list: readonly P2PRecord[]) => {
      const options = checkpointed();
      await ending(transfer(new ScriptedStore(records(100), unsure), new ScriptedStore([], breaking({})), options));
      const saved = (await options.checkpoint.load("t")) as Checkpoint;
      expect(saved.stores!.source.witnesses!.length).toBeGreaterThan(8);
      // As another process would find it.
      await options.checkpoint.save(JSON.parse(JSON.stringify(saved)) as Checkpoint);
      return transfer(new ScriptedStore(list, unsure), new ScriptedStore(), { ...options, resume: true }).catch(
        (error: unknown) => error,
      );
    };
    expect(await run(records(100))).toMatchObject({ successCount: 100 });
    expect(await run(records(100, (at) => ({ made: `anew ${at}` })))).toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    expect(await run([])).toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    const some = records(100, (at) => (at % 3 === 0 ? { touched: true } : {}));
    expect(await run(some)).toMatchObject({ successCount: 100 });
  });

  it("is not resumed when the target was emptied", async () => {
    const options = checkpointed();
    const source = new ScriptedStore(records(100));
    const target = new Readable([], breaking(unsure));
    await ending(transfer(source, target, options));
    target.content.clear();
    const error: unknown = await transfer(source, target, { ...options, resume: true }).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    expect((error as Error).message).toContain("no longer holds what it held then");
  });

  it("is remembered by few records, however many there are", async () => {
    const source = new ScriptedStore(records(3000), unsure);
    const { checkpoint } = await new DefaultP2PTransferBridge().transfer(
      { service: source, endpoint: { endpointId: "a", storageType: "scripted" } },
      { service: new ScriptedStore(), endpoint: { endpointId: "b", storageType: "scripted" } },
      {},
      { batchSize: 1, deadLetters: false },
    );
    expect(checkpoint.stores!.source.witnesses!.length).toBeLessThan(20);
  });
});
