import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { open, read, rejection, testIndex, write } from "./opening.ts";

describeWithService("elasticsearch", "writing", ({ url }) => {
  const records = (count: number, size: number): P2PRecord[] =>
    Array.from({ length: count }, (_, i) => ({ id: `r${i}`, body: "x".repeat(size) }));

  test("a batch is cut by its size into several requests", async () => {
    const { index } = testIndex(url);
    await using proxy = await startProxy(url);
    const sizes: number[] = [];
    proxy.onRequest = ({ path, body }) => {
      if (path.includes("_bulk")) sizes.push(body.length);
    };
    const target = await open(`${proxy.endpoint}/${index}?replicas=0&maxBulkBytes=10000`);
    const batch = [...records(20, 900), { id: "large", body: "y".repeat(15_000) }, { id: "last" }];
    expect(await write(target, batch)).toMatchObject({ written: 22, skipped: 0, failures: [] });
    expect(sizes.length).toBeGreaterThanOrEqual(4);
    // The one that is larger than the limit goes alone.
    expect(sizes.filter((size) => size > 10_000)).toHaveLength(1);
    expect(await read(await open(`${proxy.endpoint}/${index}`, "source"))).toHaveLength(22);
  });

  test("ids that are too long are failures of their own", async () => {
    const { endpoint } = testIndex(url);
    const batch = [
      { id: "x".repeat(512) },
      { id: "x".repeat(513) },
      { id: "长".repeat(171) },
      { id: "长".repeat(170) },
    ];
    const { written, failures } = await write(await open(endpoint), batch);
    expect(written).toBe(2);
    expect(failures.map(({ index, error }) => [index, error.code])).toEqual([
      [1, "RECORD_TOO_LARGE"],
      [2, "RECORD_TOO_LARGE"],
    ]);
  });

  test("a full disk, a read-only index and a missing pipeline are told apart", async () => {
    const { index, endpoint } = testIndex(url);
    const target = await open(endpoint);
    await write(target, [{ id: "a" }]);
    const blocks = {
      read_only_allow_delete: { code: "STORAGE_FULL", retryable: true },
      write: { code: "TARGET_NOT_WRITABLE", retryable: false },
      read_only: { code: "TARGET_NOT_WRITABLE", retryable: false },
    };
    for (const [block, expected] of Object.entries(blocks)) {
      await call(url, "PUT", `/${index}/_settings`, { [`index.blocks.${block}`]: true });
      const { written, failures } = await write(target, [{ id: "b" }, { id: "c" }]);
      expect(written).toBe(0);
      expect(failures.map(({ error }) => ({ code: error.code, retryable: error.retryable }))).toEqual([
        expected,
        expected,
      ]);
      await call(url, "PUT", `/${index}/_settings`, { [`index.blocks.${block}`]: null });
    }
    expect(await write(target, [{ id: "b" }])).toMatchObject({ written: 1 });
    const { failures } = await write(await open(`${endpoint}&pipeline=no-such-pipeline`), [{ id: "d" }]);
    expect(failures[0]?.error.message).toContain("no-such-pipeline");
  });

  test("with wait_for a search finds what was written as soon as it is written, and by default after closing", async () => {
    const { index, endpoint } = testIndex(url);
    const hits = async (): Promise<number> => (await call<{ count: number }>(url, "GET", `/${index}/_count`)).count;
    const target = await open(endpoint);
    await write(target, [{ id: "a" }]);
    // Without this a second would be enough for the record to be seen anyway.
    await call(url, "PUT", `/${index}/_settings`, { "index.refresh_interval": "-1" });
    await write(target, [{ id: "b" }]);
    await target.close();
    expect(await hits()).toBe(2);
    await write(await open(`${endpoint}&refresh=true`), [{ id: "c" }]);
    expect(await hits()).toBe(3);
    const silent = await open(`${endpoint}&refresh=false`);
    await write(silent, [{ id: "d" }]);
    await silent.close();
    expect(await hits()).toBe(3);
    // Our own readers never miss anything.
    expect(await read(await open(endpoint, "source"))).toHaveLength(4);
  });

  test("a server that is lost in the middle of a batch fails only what was not written", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "there", body: "" }]);
    await using proxy = await startProxy(url);
    let bulks = 0;
    proxy.onRequest = ({ path }) => {
      if (path.includes("_bulk") && ++bulks >= 3) proxy.cut();
    };
    const target = await open(`${proxy.endpoint}/${index}?maxBulkBytes=5000`);
    const { written, failures } = await write(target, records(20, 900));
    expect(written).toBeGreaterThan(0);
    expect(written + failures.length).toBe(20);
    for (const { error } of failures) expect([error.code, error.retryable]).toEqual(["CONNECTION_LOST", true]);
    expect(failures.length).toBeGreaterThan(0);
    proxy.onRequest = () => {};
    const lost = failures.map((failure) => records(20, 900)[failure.index]!);
    expect(await write(target, lost)).toMatchObject({ written: lost.length });
    expect(await read(await open(endpoint, "source"))).toHaveLength(21);
    proxy.onRequest = ({ path }) => path.includes("_bulk") && proxy.cut();
    expect(await rejection(write(target, records(1, 1)))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    // A connection that died while it was kept is no trouble, but what must not be written twice is not sent twice.
    let cuts = 0;
    proxy.onRequest = ({ path }) => path.includes("_bulk") && cuts++ === 0 && proxy.cut();
    expect(await write(target, records(1, 1))).toMatchObject({ written: 1 });
    cuts = 0;
    expect((await rejection(write(target, [{ id: "once" }], "insert"))).code).toBe("CONNECTION_LOST");
    expect(cuts).toBe(1);
  });

  test("a 429 is worth another try, after the time that the server asks for", async () => {
    const { index } = testIndex(url);
    await using proxy = await startProxy(url);
    const target = await open(`${proxy.endpoint}/${index}?replicas=0`);
    await write(target, [{ id: "a" }]);
    const reason = { type: "es_rejected_execution_exception", reason: "rejected execution of coordinating operation" };
    proxy.answer = ({ path }) =>
      path.includes("_bulk")
        ? { status: 429, headers: { "retry-after": "7" }, body: { error: reason, status: 429 } }
        : undefined;
    const error = await rejection(write(target, [{ id: "b" }]));
    expect(error).toMatchObject({ code: "BUSY", retryable: true, retryAfterMs: 7000 });
    expect(error.message).toContain("rejected execution of coordinating operation");
    proxy.answer = ({ path }) =>
      path.includes("_bulk")
        ? {
            status: 200,
            body: { errors: true, items: [{ index: { status: 429, error: reason } }, { index: { status: 201 } }] },
          }
        : undefined;
    const { written, failures } = await write(target, [{ id: "b" }, { id: "c" }]);
    expect(written).toBe(1);
    expect(failures.map((failure) => [failure.index, failure.error.code, failure.error.retryable])).toEqual([
      [0, "BUSY", true],
    ]);
  });
});
