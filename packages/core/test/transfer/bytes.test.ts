import { describe, expect, it } from "vitest";
import { estimateBytes } from "../../src/starter.ts";
import { RawDocument, RawStore } from "../support/raw-store.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

/** How a target writes that does not count its bytes. */
const uncounted: ConstructorParameters<typeof ScriptedStore>[1] = {
  write: ({ apply }) => {
    const { bytes: _, ...result } = apply();
    return result;
  },
};

const uncounting = () => new ScriptedStore([], uncounted);

describe("the bytes of a result", () => {
  it("are those that the target counts", async () => {
    const result = await transfer(new ScriptedStore(records(100)), new ScriptedStore(), { batchSize: 30 });
    expect(result.bytes).toBe(1000);
  });

  it("are estimated where the target does not count", async () => {
    const some = records(100);
    const result = await transfer(new ScriptedStore(some), uncounting(), { batchSize: 25 });
    const size = some.reduce((sum, record) => sum + estimateBytes(record), 0);
    expect(Math.abs(result.bytes - size)).toBeLessThanOrEqual(4);
  });

  it("leave out what was left alone", async () => {
    const some = records(100);
    const target = uncounting();
    await transfer(new ScriptedStore(some.slice(0, 60)), target);
    const result = await transfer(new ScriptedStore(some), target, { mode: "skip", batchSize: 100 });
    const size = some.reduce((sum, record) => sum + estimateBytes(record), 0);
    expect(result).toMatchObject({ skippedCount: 60, bytes: Math.round(size * 0.4) });
  });

  it("of documents that are not taken apart are those of the source", async () => {
    const some = records(10);
    const target = new RawStore([], uncounted);
    const result = await transfer(new RawStore(some), target);
    const size = some.reduce((sum, record) => sum + new RawDocument(record).text.length, 0);
    expect([target.rawWrites, result.bytes]).toEqual([1, size]);
  });
});
