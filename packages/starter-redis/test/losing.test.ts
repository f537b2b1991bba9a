import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { isP2PError, type P2PDataTransferService, type P2PRecord } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisStarter } from "../src/index.ts";
import { byId, calm, errorOf, openAt, readAll, writeAll } from "./opening.ts";
import { proxyTo, type SpoiltWay } from "./tcp.ts";

const TIMEOUT_MS = 600;

describeWithService("redis", "connections that are lost", () => {
  let server: TestService;
  let port: number;

  beforeAll(async () => {
    server = await startService("redis", { exclusive: true, persistent: true });
    port = Number(new URL(server.url).port);
  });
  afterAll(() => server.stop());

  describe("a server that restarts", () => {
    it("ping says so, and the same service works when it is back", async () => {
      const service = await openAt(`${server.url}?prefix=ping:`, "target", {}, 2000);
      await writeAll(service, [{ id: "before" }]);
      await server.restart!(async () => {
        const started = performance.now();
        expect(await errorOf(service.ping(calm()))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
        expect(performance.now() - started).toBeLessThan(1900);
      });
      await untilItWorks(() => service.ping(calm()));
      await writeAll(service, [{ id: "after" }]);
      expect(Object.keys(byId((await readAll(service)).records)).sort()).toEqual(["after", "before"]);
      await service.close();
    });

    it("what is asked for while it is away waits for it", async () => {
      const service = await openAt(`${server.url}?prefix=wait:`, "target", {}, 20_000);
      let writing: Promise<void> | undefined;
      await server.restart!(async () => {
        await service.ping(calm()).catch(() => {});
        writing = writeAll(service, [{ id: "a" }]);
      });
      await writing;
      expect((await readAll(service)).records).toEqual([{ id: "a" }]);
      await service.close();
    });

    it("a write that waits for it ends at the timeout, and at once when it is aborted", async () => {
      const service = await openAt(`${server.url}?prefix=late:`, "target", {}, TIMEOUT_MS);
      await server.restart!(async () => {
        const started = performance.now();
        await service.ping(calm()).catch(() => {});
        const error = await errorOf(writeAll(service, [{ id: "a" }]));
        expect(error).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
        expect(performance.now() - started).toBeLessThan(3 * TIMEOUT_MS);

        const controller = new AbortController();
        const reason = new Error("enough");
        const writing = service.writeToTarget([{ id: "a" }], { mode: "upsert", signal: controller.signal });
        controller.abort(reason);
        await expect(writing).rejects.toBe(reason);
      });
      await service.close();
    });

    for (const maxSortedKeys of ["1", "50000"]) {
      it(`costs a reader with maxSortedKeys=${maxSortedKeys} time, but no record`, async () => {
        const url = `${server.url}?prefix=read${maxSortedKeys}:&maxSortedKeys=${maxSortedKeys}&scanCount=50`;
        const service = await openAt(url, "target", {}, 5000);
        const records = Array.from({ length: 3000 }, (_, i) => ({ id: `r${i}`, n: i }));
        await writeAll(service, records);
        const found = new Map<unknown, P2PRecord>();
        let restarted = 0;
        await readOn(service, async (batch) => {
          for (const record of batch) found.set(record.id, record);
          if (found.size > 1000 * (restarted + 1) && restarted < 2) {
            restarted++;
            await server.restart!();
          }
        });
        expect(restarted).toBe(2);
        expect(found.size).toBe(records.length);
        await service.close();
      });
    }

    it("costs a transfer between two prefixes time, but no record", async () => {
      const filling = await openAt(`${server.url}?prefix=from:`);
      const records = Array.from({ length: 20_000 }, (_, i) => ({ id: `r${i}`, n: i }));
      for (let i = 0; i < records.length; i += 2000) await writeAll(filling, records.slice(i, i + 2000));
      await filling.close();
      await using manager = new DefaultP2PConnectionManager();
      manager.registerService("redis", redisStarter);
      const { connectionId } = await manager.establish(`${server.url}?prefix=from:`, `${server.url}?prefix=to:`);
      let restarts = 0;
      let restarting: Promise<void> | undefined;
      const onProgress = ({ records: done }: { readonly records: number }) => {
        if (done < 4000 * (restarts + 1) || restarts === 2) return;
        restarts++;
        restarting = (restarting ?? Promise.resolve()).then(() => server.restart!());
      };
      const options = { batchSize: 100, onProgress, progressInterval: 0 };
      const result = await manager.transferThroughConnection(connectionId, {}, options);
      await restarting;
      expect(restarts).toBe(2);
      expect(result).toMatchObject({ totalRecords: 20_000, successCount: 20_000, failureCount: 0 });
      const target = await openAt(`${server.url}?prefix=to:`, "source");
      expect(byId((await readAll(target, {}, { batchSize: 1000 })).records)).toEqual(byId(records));
      await target.close();
    });

    it("costs a writer time, but no record", async () => {
      const service = await openAt(`${server.url}?prefix=write:`, "target", {}, 5000);
      const records = Array.from({ length: 200 }, (_, i) => ({ id: `r${i}`, n: i }));
      const restarting = server.restart!();
      for (const record of records) await untilItWorks(() => writeAll(service, [record]));
      await restarting;
      await untilItWorks(() => service.ping(calm()));
      expect((await readAll(service)).records).toHaveLength(200);
      await service.close();
    });
  });

  describe("a way that is spoiled", () => {
    let proxy: SpoiltWay;
    beforeAll(async () => {
      proxy = await proxyTo(port);
    });
    afterAll(() => proxy.close());

    it("a connection that stalls is given up at the timeout, and a new one is used", async () => {
      const service = await openAt(`redis://127.0.0.1:${proxy.port}?prefix=stall:`, "target", {}, TIMEOUT_MS);
      await writeAll(service, [{ id: "a" }]);
      for (const call of [
        () => writeAll(service, [{ id: "b" }]),
        () => readAll(service),
        () => service.count({}, calm()),
        () => service.ping(calm()),
      ]) {
        proxy.stall();
        const started = performance.now();
        expect(await errorOf(call())).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
        expect(performance.now() - started).toBeLessThan(2 * TIMEOUT_MS + 300);
        proxy.mend();
        await untilItWorks(() => service.ping(calm()));
      }
      await service.close();
    });

    it("a connection cut in the middle of an answer", async () => {
      const service = await openAt(`redis://127.0.0.1:${proxy.port}?prefix=cut:`, "target", {}, 3000);
      const records = Array.from({ length: 500 }, (_, i) => ({ id: `r${i}`, text: "x".repeat(1000) }));
      await writeAll(service, records);
      proxy.cutAfter(100_000);
      expect(await errorOf(readAll(service))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
      expect((await readAll(service)).records).toHaveLength(500);
      await service.close();
    });

    it("of a batch that was cut, the records that were acknowledged are not failures", async () => {
      const service = await openAt(`redis://127.0.0.1:${proxy.port}?prefix=part:`, "target", {}, 3000);
      const records = Array.from({ length: 500 }, (_, i) => ({ id: `r${i}` }));
      await service.ping(calm());
      // An answer to SET … NX has five bytes.
      proxy.cutAfter(5 * 200);
      const result = await service.writeToTarget(records, { mode: "insert", signal: calm() });
      expect(result.written).toBe(200);
      expect(result.failures).toHaveLength(300);
      expect(result.failures[0]!.error).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
      await service.close();
    });

    it("closing takes no longer than a second or two, whatever the way", async () => {
      const service = await openAt(`redis://127.0.0.1:${proxy.port}`, "target", {}, 3000);
      proxy.stall();
      const started = performance.now();
      await service.close();
      expect(performance.now() - started).toBeLessThan(2000);
      expect((await errorOf(service.ping(calm()))).code).toBe("CLOSED");
      proxy.mend();
    });
  });

  it("a process ends by itself after close(), also when the server has gone", async () => {
    const script = fileURLToPath(new URL("./leave.ts", import.meta.url));
    for (const how of ["open", "refused", "gone"]) {
      const started = performance.now();
      const { stdout } = await promisify(execFile)(process.execPath, [script, server.url, how], { timeout: 20_000 });
      expect(stdout).toBe(`closed ${how}\n`);
      expect(performance.now() - started).toBeLessThan(10_000);
    }
  });

  it("a process ends by itself without close(), when its work is done and not before", async () => {
    const script = fileURLToPath(new URL("./forget.ts", import.meta.url));
    for (const how of ["idle", "gone", "transfer"]) {
      const { stdout } = await promisify(execFile)(process.execPath, [script, server.url, how], { timeout: 20_000 });
      expect(stdout).toBe(`${how}: 5000\n`);
    }
  });
});

/** Reads as a transfer does: from the last cursor, when the source was not to be had for a moment. */
async function readOn(
  service: P2PDataTransferService,
  onBatch: (records: readonly P2PRecord[]) => Promise<void>,
): Promise<void> {
  let after: Parameters<P2PDataTransferService["readFromSource"]>[1]["after"];
  for (let tries = 0; ; tries++) {
    try {
      for await (const batch of service.readFromSource({}, { batchSize: 100, after, signal: calm() })) {
        after = JSON.parse(JSON.stringify(batch.cursor)) as typeof after;
        await onBatch(batch.records);
      }
      return;
    } catch (error) {
      if (!isP2PError(error) || !error.retryable || tries > 50) throw error;
    }
  }
}

async function untilItWorks(call: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await call();
      return;
    } catch (error) {
      if (!isP2PError(error) || !error.retryable || tries > 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
