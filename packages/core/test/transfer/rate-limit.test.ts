import { describe, expect, it } from "vitest";
import { parseConfig, parseRate } from "../../src/config.ts";
import { mirrorWith } from "../../src/live/mirror.ts";
import { LiveStore } from "../support/live-store.ts";
import { PartedStore } from "../support/parted-store.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, transfer } from "../support/transferring.ts";

expectNoUnhandledRejections();

describe("a rate", () => {
  it.each([
    ["5000/s", { records: 5000 }],
    [5000, { records: 5000 }],
    ["0.5", { records: 0.5 }],
    ["10MB/s", { bytes: 10_000_000 }],
    ["1 MiB/s", { bytes: 1_048_576 }],
    ["200/s, 10kB/s", { records: 200, bytes: 10_000 }],
  ])("of %s is read", (text, rate) => {
    expect(parseRate(text)).toEqual(rate);
  });

  it.each([0, -1, "0/s", "fast", "5000/m", "10 apples/s", "", "1/s,2/s", Number.NaN, Infinity])(
    "of %s is refused",
    (text) => {
      expect(() => parseConfig({ rateLimit: text })).toThrow(
        /"rateLimit" must be so many records or bytes in a second/,
      );
    },
  );
});

describe("a limited transfer", () => {
  it("moves no more in a second, whole and in parts, in pages that fit", async () => {
    for (const [source, partitions] of [
      [new ScriptedStore(records(300)), 1],
      [new PartedStore(300), 4],
    ] as const) {
      const target = new ScriptedStore();
      const result = await transfer(source, target, { rateLimit: "400/s", partitions });
      expect(result).toMatchObject({ successCount: 300 });
      // The last page goes on credit, and so much may be there at first.
      expect(result.durationMs).toBeGreaterThan(((300 - 100 - 40) / 400) * 1000);
      expect(Math.max(...target.sent.map(({ length }) => length))).toBeLessThanOrEqual(100);
    }
  });

  it("is limited in bytes", async () => {
    const result = await transfer(new PartedStore(40), new ScriptedStore(), { rateLimit: "800B/s", batchSize: 5 });
    expect(result).toMatchObject({ successCount: 40, bytes: 400 });
    expect(result.durationMs).toBeGreaterThan(200);
  });

  it("ends at once when it is told to", async () => {
    const begun = performance.now();
    const signal = AbortSignal.timeout(50);
    await expect(
      transfer(new ScriptedStore(records(100)), new ScriptedStore(), { rateLimit: 1, signal }),
    ).rejects.toThrow();
    expect(performance.now() - begun).toBeLessThan(5000);
  });

  it("may be a mirror, whose writes are limited", async () => {
    const [source, target] = [new LiveStore(records(100)), new LiveStore([])];
    const end = (service: LiveStore, endpointId: string) => ({
      service,
      endpoint: { endpointId, storageType: "live" },
    });
    const result = await mirrorWith(
      end(source, "a"),
      end(target, "b"),
      {},
      { deadLetters: false, batchSize: 10 },
      parseConfig({ rateLimit: "200/s" }),
    );
    expect(result).toMatchObject({ successCount: 100 });
    expect(result.durationMs).toBeGreaterThan(300);
  });
});
