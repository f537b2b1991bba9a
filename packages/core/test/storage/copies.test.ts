import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { runInNewContext } from "node:vm";
import { beforeAll, describe, expect, it } from "vitest";
import type * as own from "../../src/index.ts";
import * as starter from "../../src/starter.ts";
import { temporaryFolder } from "../support/folder.ts";

/** What both doors of a copy give. */
type Core = typeof own & typeof starter;

/** Two more copies of the package, as applications have them whose bundler took one in. */
let copies: readonly [Core, Core];

beforeAll(async () => {
  const folder = temporaryFolder();
  const load = async (name: string): Promise<Core> => {
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(join(folder, name, "package.json"), '{"type":"module"}');
    await cp(join(import.meta.dirname, "../../dist"), join(folder, name, "dist"), { recursive: true });
    const doors = ["dist/index.js", "dist/starter.js"].map((door) => pathToFileURL(join(folder, name, door)).href);
    const [applications, adapters] = await Promise.all(doors.map((door) => import(door)));
    return { ...applications, ...adapters } as Core;
  };
  copies = [await load("one"), await load("two")];
});

describe("two copies of the core", () => {
  it("know each other's tagged values in all that they do", () => {
    const [one, two] = copies;
    expect(one.TaggedValue).not.toBe(two.TaggedValue);
    const theirs = new two.TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d");
    const ours = new one.TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d");
    expect(theirs instanceof one.TaggedValue).toBe(true);
    expect(one.valueType(theirs)).toBe("tagged");
    expect(one.encodeJson({ a: theirs })).toBe(one.encodeJson({ a: ours }));
    expect(one.valuesEqual(theirs, ours)).toBe(true);
    expect(one.compareValues(theirs, ours)).toBe(0);
    expect(one.idKey(theirs)).toBe(one.idKey(ours));
    expect(one.recordTrouble({ id: theirs, list: [theirs] })).toBeUndefined();
    expect(one.recordTrouble({ id: new two.TaggedValue("a:b", "") })).toBe("the record's id is empty");
    expect(one.recordTrouble({ id: 1, a: new two.TaggedValue("bad", 1) })).toContain("<store>:<name>");
    expect(one.estimateBytes(theirs)).toBe(one.estimateBytes(ours));
    expect(Object.getPrototypeOf(one.cloneValue(theirs))).toBe(one.TaggedValue.prototype);
  });

  it("know nothing else as a tagged value", () => {
    const [one] = copies;
    for (const other of [null, undefined, 1, "a", {}, { type: "a:b", value: 1 }, [], new Date(), () => 1]) {
      expect((other as unknown) instanceof one.TaggedValue).toBe(false);
    }
    expect(new one.TaggedValue("a:b", 1) instanceof one.TaggedValue).toBe(true);
    class Money extends one.TaggedValue {}
    expect(new Money("a:b", 1) instanceof one.TaggedValue).toBe(true);
  });

  it("know each other's errors", () => {
    const [one, two] = copies;
    const theirs = new two.P2PError("BUSY", "wait");
    expect(one.isP2PError(theirs, "BUSY")).toBe(true);
    expect(theirs instanceof one.P2PTransferError).toBe(false);
    const ended = new two.P2PTransferError("BUSY", "wait", {} as own.TransferResult);
    expect(ended instanceof one.P2PTransferError && one.isP2PError(ended)).toBe(true);
    expect(one.isP2PError(new Error("x"))).toBe(false);
  });

  it("move a tagged value from a transform of one by the other", async () => {
    const [one, two] = copies;
    const seen: own.P2PRecord[] = [];
    const manager = new one.DefaultP2PConnectionManager();
    for (const storageType of ["from", "to"]) {
      const starter = {
        storageType,
        contractVersion: one.CONTRACT_VERSION,
        options: {},
        open: async () => store(seen),
      };
      manager.registerService(storageType, starter);
    }
    const connection = await manager.establish({ storageType: "from" }, { storageType: "to" });
    const result = await manager.transferThroughConnection(
      connection.connectionId,
      {},
      {
        deadLetters: false,
        transform: (record) => ({
          ...record,
          tagged: new two.TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
          when: runInNewContext("new Date(5)") as Date,
          bytes: runInNewContext("Uint8Array.of(1, 2)") as Uint8Array,
          inner: runInNewContext("({ at: [new Date(6)] })") as own.P2PObject,
        }),
      },
    );
    await manager.close();
    expect(result.successCount).toBe(1);
    const [record] = seen as [own.P2PRecord & { inner: { at: Date[] } }];
    expect(Object.getPrototypeOf(record.tagged)).toBe(one.TaggedValue.prototype);
    expect(record.when instanceof Date && record.when.getTime()).toBe(5);
    expect(record.bytes instanceof Uint8Array).toBe(true);
    expect(record.inner.at[0] instanceof Date).toBe(true);
  });
});

describe("dates and bytes of another realm", () => {
  const date = runInNewContext("new Date(5)") as Date;
  const bytes = runInNewContext("Uint8Array.of(1, 2)") as Uint8Array;

  it("are dates and bytes", () => {
    expect(date instanceof Date).toBe(false);
    expect(starter.valueType(date)).toBe("date");
    expect(starter.valueType(bytes)).toBe("bytes");
    expect(starter.encodeJson([date, bytes])).toBe(starter.encodeJson([new Date(5), Uint8Array.of(1, 2)]));
    expect(starter.valuesEqual([date, bytes], [new Date(5), Uint8Array.of(1, 2)])).toBe(true);
    expect(starter.recordTrouble({ id: date, bytes })).toBeUndefined();
    expect(starter.idKey(date)).toBe("1970-01-01T00:00:00.005Z");
    expect(starter.idKey(bytes)).toBe("0102");
    expect(starter.recordTrouble({ id: 1, at: runInNewContext("new Date(NaN)") })).toBe("record.at is an invalid date");
    const { conditions } = starter.parseQuery({ where: { at: date, blob: { in: [bytes] } } });
    expect(starter.matches(conditions, { id: 1, at: new Date(5), blob: Uint8Array.of(1, 2) })).toBe(true);
    expect(conditions[0]!.value instanceof Date).toBe(true);
    expect((conditions[1]!.value as unknown[])[0] instanceof Uint8Array).toBe(true);
  });

  it("are copied as this realm's own", () => {
    const copy = starter.cloneValue({ date, bytes: [bytes] });
    expect(copy.date instanceof Date && copy.date.getTime()).toBe(5);
    expect(copy.bytes[0] instanceof Uint8Array).toBe(true);
  });
});

function store(seen: own.P2PRecord[]): starter.P2PDataTransferService {
  return {
    capabilities: {
      resumable: false,
      countable: false,
      partitionable: false,
      writeConcurrency: 1,
      atomicBatches: true,
      shareable: true,
      lookUp: false,
      deletes: false,
      changes: false,
      valueTypes: {
        ...{ null: "native", boolean: "native", number: "native", bigint: "native", string: "native" },
        ...{ date: "native", bytes: "native", array: "native", object: "native", tagged: "native" },
      },
    },
    async *readFromSource() {
      yield { records: [{ id: 1 }], cursor: 1 };
    },
    writeToTarget: async (records) => {
      seen.push(...records);
      return { written: records.length, skipped: 0, failures: [] };
    },
    count: async () => undefined,
    partitions: async (query) => [query],
    identity: async () => ({ volatile: true }),
    ping: async () => {},
    close: async () => {},
  };
}
