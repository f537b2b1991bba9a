import { describe, expect, it, vi } from "vitest";
import { StatisticsBook } from "../../src/connection/statistics.ts";
import { MemoryCheckpointStore, P2PError, type TransferResult } from "../../src/index.ts";
import { managed, NO_LETTERS } from "../support/scripted-starter.ts";
import { busy, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const NAMES = [
  "connection_id",
  "deleted_count",
  "change_count",
  "change_lag_ms",
  "total_transfers",
  "failed_transfers",
  "total_records_transferred",
  "success_count",
  "failure_count",
  "skipped_count",
  "retry_count",
  "total_bytes",
  "avg_duration_ms",
  "p50_duration_ms",
  "p95_duration_ms",
  "max_duration_ms",
  "records_per_second",
  "last_transfer_time",
  "last_error",
  "established_time",
  "reconnect_count",
];

const result = (durationMs: number, more: Partial<TransferResult> = {}) =>
  ({
    successCount: 0,
    failureCount: 0,
    skippedCount: 0,
    retryCount: 0,
    totalRecords: 0,
    bytes: 0,
    errors: [],
    durationMs,
    ...more,
  }) as unknown as TransferResult;

describe("the statistics of a connection", () => {
  it("begin with nothing, under the guide's names", async () => {
    const { manager, connect } = managed();
    const { connectionId } = await connect();
    const statistics = manager.getConnectionStatistics(connectionId);
    expect(Object.keys(statistics).sort()).toEqual(NAMES.toSorted());
    expect(statistics).toMatchObject({
      connection_id: connectionId,
      total_transfers: 0,
      success_count: 0,
      avg_duration_ms: 0,
      p95_duration_ms: 0,
      records_per_second: 0,
      last_transfer_time: null,
      last_error: null,
    });
    expect(() => manager.getConnectionStatistics("no such")).toThrow(
      /The connection "no such" is CLOSED or was never established/,
    );
  });

  it("add up what transfers did, well or not", async () => {
    let broken = false;
    let refusals = 1;
    const { manager, connect } = managed({
      to: () =>
        new ScriptedStore([], {
          write: (call) => {
            if (broken && call.records[0]!.at === 10) throw refused("STORAGE_FULL");
            return withFailures(call, ({ at }) =>
              at === 3 ? refused() : at === 4 && refusals-- > 0 ? busy() : undefined,
            );
          },
        }),
    });
    const { connectionId } = await connect({ batch_size: 5, concurrency: 1 });
    await manager.transferThroughConnection(
      connectionId,
      {},
      { ...NO_LETTERS, transform: (record) => (record.at === 7 ? null : record) },
    );
    broken = true;
    await expect(manager.transferThroughConnection(connectionId, {}, NO_LETTERS)).rejects.toMatchObject({
      code: "STORAGE_FULL",
    });
    const statistics = manager.getConnectionStatistics(connectionId);
    expect(statistics).toMatchObject({
      total_transfers: 2,
      failed_transfers: 1,
      total_records_transferred: 18 + 9,
      success_count: 27,
      failure_count: 2,
      skipped_count: 1,
      retry_count: 1,
      last_error: "it does not fit",
    });
    expect(Math.abs(Date.now() - Date.parse(statistics.last_transfer_time!))).toBeLessThan(10_000);
    expect(Date.parse(statistics.established_time)).toBeLessThanOrEqual(Date.parse(statistics.last_transfer_time!));
    expect(statistics.records_per_second).toBeGreaterThan(0);
  });

  it("do not count again what earlier runs of a resumed transfer did", async () => {
    let killed = false;
    const { manager, connect } = managed({
      to: () =>
        new ScriptedStore([], {
          write: (call) => {
            if (call.records[0]!.at === 10 && !killed) {
              killed = true;
              throw refused("WRITE_FAILED");
            }
            return call.apply();
          },
        }),
    });
    const { connectionId } = await connect({ batch_size: 5, concurrency: 1 });
    const options = { ...NO_LETTERS, transferId: "t", checkpoint: new MemoryCheckpointStore(), resume: true };
    await expect(manager.transferThroughConnection(connectionId, {}, options)).rejects.toMatchObject({
      result: { successCount: 10 },
    });
    expect(await manager.transferThroughConnection(connectionId, {}, options)).toMatchObject({ successCount: 20 });
    expect(await manager.transferThroughConnection(connectionId, {}, options)).toMatchObject({ successCount: 20 });
    expect(manager.getConnectionStatistics(connectionId)).toMatchObject({
      total_transfers: 3,
      success_count: 20,
      total_records_transferred: 20,
      total_bytes: 200,
    });
  });

  it("know average, percentiles and maximum of the durations", () => {
    const book = new StatisticsBook();
    for (let i = 1; i <= 100; i++) book.enter(result(i, { successCount: 10, bytes: 3 }));
    expect(book.read("c")).toMatchObject({
      avg_duration_ms: 50.5,
      p50_duration_ms: 50,
      p95_duration_ms: 95,
      max_duration_ms: 100,
      total_bytes: 300,
      records_per_second: (1000 * 1000) / 5050,
    });
    const one = new StatisticsBook();
    one.enter(result(7));
    expect(one.read("c")).toMatchObject({
      p50_duration_ms: 7,
      p95_duration_ms: 7,
      max_duration_ms: 7,
      avg_duration_ms: 7,
    });
  });

  it("keep percentiles of the last durations only, and the maximum of all", () => {
    const book = new StatisticsBook();
    book.enter(result(1e6));
    for (let i = 0; i < 2000; i++) book.enter(result(5));
    expect(book.read("c")).toMatchObject({
      p50_duration_ms: 5,
      p95_duration_ms: 5,
      max_duration_ms: 1e6,
      total_transfers: 2001,
    });
  });

  it("remember the last error, of a transfer, a record or a ping", () => {
    const book = new StatisticsBook();
    book.noteError(new P2PError("CONNECTION_LOST", "no answer"));
    expect(book.read("c")).toMatchObject({ last_error: "no answer", total_transfers: 0 });
    book.enter(
      result(1, { errors: [{ id: "1", phase: "write", code: "TYPE_MISMATCH", reason: "of a record", attempts: 1 }] }),
    );
    expect(book.read("c").last_error).toBe("of a record");
    book.enter(result(1));
    expect(book.read("c").last_error).toBe("of a record");
    book.enter(result(1), new Error("of a transfer"));
    expect(book.read("c")).toMatchObject({ last_error: "of a transfer", failed_transfers: 1 });
  });

  it("do not care for a clock that jumps backwards", async () => {
    const { manager, connect } = managed();
    const { connectionId } = await connect();
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("1990-01-01") });
    try {
      await manager.transferThroughConnection(connectionId, {}, NO_LETTERS);
      const statistics = manager.getConnectionStatistics(connectionId);
      expect(statistics.last_transfer_time).toMatch(/^1990/);
      expect(statistics.avg_duration_ms).toBeGreaterThanOrEqual(0);
      expect(statistics.records_per_second).toBeGreaterThan(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
