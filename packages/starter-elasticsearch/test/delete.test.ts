import {
  type DeleteRef,
  type DeleteResult,
  type P2PDataTransferService,
  type P2PId,
  recordDigest,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, onTestFinished, test } from "vitest";
import { call } from "./fresh-index.ts";
import { startProxy } from "./http-proxy.ts";
import { calm, open, read, rejection, testIndex, write } from "./opening.ts";

const remove = (service: P2PDataTransferService, refs: readonly DeleteRef[]): Promise<DeleteResult> =>
  service.deleteFromTarget!(refs, { signal: calm() });

const idsIn = async (endpoint: string): Promise<P2PId[]> =>
  (await read(await open(endpoint, "source"))).map(({ id }) => id);

describeWithService("elasticsearch", "deleting records", ({ url }) => {
  test("deleted, absent and once for an id that comes twice, and gone for one who opens later", async () => {
    const { endpoint } = testIndex(url);
    const target = await open(endpoint);
    expect(await remove(target, [{ id: "a" }])).toEqual({ deleted: 0, absent: 1, changed: [], failures: [] });
    await write(target, [{ id: "a" }, { id: 1 }, { id: "b" }, { id: "c" }]);
    expect(
      await remove(target, [{ id: "a" }, { id: "none" }, { id: "1" }, { id: 1n }, { id: "a" }, { id: "" }]),
    ).toEqual({
      deleted: 2,
      absent: 4,
      changed: [],
      failures: [],
    });
    expect(await idsIn(endpoint)).toEqual(["b", "c"]);
  });

  test("10,000 at once", async () => {
    const { index, endpoint } = testIndex(url);
    await write(
      await open(endpoint),
      Array.from({ length: 10_000 }, (_, n) => ({ id: `r${n}` })),
    );
    await using proxy = await startProxy(url);
    let requests = 0;
    proxy.onRequest = () => void requests++;
    const target = await open(`${proxy.endpoint}/${index}`);
    const refs = Array.from({ length: 10_000 }, (_, n) => ({ id: `r${n * 2}` }));
    expect(await remove(target, refs)).toMatchObject({ deleted: 5000, absent: 5000, failures: [] });
    expect(requests).toBeLessThan(40);
    expect(await idsIn(endpoint)).toHaveLength(5000);
  });

  test("one that is not as expected any more stays, also when it changes at that very moment", async () => {
    const { index, endpoint } = testIndex(url);
    const records = [
      { id: "same", v: Number.NaN, when: new Date(5), big: 2n ** 70n },
      { id: "other", v: 1 },
      { id: "raced", v: 2 },
    ];
    const target = await open(endpoint);
    await write(target, records);
    const expected = records.map(recordDigest);
    await write(target, [{ id: "other", v: 2 }]);
    await using proxy = await startProxy(url);
    const through = await open(`${proxy.endpoint}/${index}`);
    let turn = 0;
    proxy.answer = ({ path, body }) => {
      if (!path.includes("/_bulk") || !body.includes(`"raced"`)) return undefined;
      // What the server says when somebody else was quicker.
      turn++;
      const error = { type: "version_conflict_engine_exception", reason: "required seqNo" };
      const items = body
        .toString()
        .trim()
        .split("\n")
        .map((line) =>
          line.includes(`"raced"`)
            ? { delete: { status: 409, error } }
            : { delete: { status: 200, result: "deleted" } },
        );
      return { status: 200, body: { errors: true, items } };
    };
    const refs = records.map(({ id }, i) => ({ id, expected: expected[i]! }));
    expect(await remove(through, refs)).toEqual({ deleted: 1, absent: 0, changed: [1, 2], failures: [] });
    expect(turn).toBe(3);
    proxy.answer = () => undefined;
    expect(await remove(through, [...refs, { id: "none", expected: expected[0]! }])).toEqual({
      deleted: 2,
      absent: 1,
      changed: [1],
      failures: [],
    });
    expect(await idsIn(endpoint)).toEqual(["other"]);
  });

  test("in several indices and with routings, each by its locator, and everywhere without", async () => {
    const { index, endpoint } = testIndex(url);
    for (const suffix of ["x", "y"]) {
      onTestFinished(async () => void (await call(url, "DELETE", `/${index}-${suffix}`)));
      await call(url, "PUT", `/${index}-${suffix}`, { settings: { number_of_shards: 5, number_of_replicas: 0 } });
      for (const id of ["a", "b"]) await call(url, "PUT", `/${index}-${suffix}/_doc/${id}?refresh=true`, { suffix });
    }
    for (let n = 0; n < 5; n++) await call(url, "PUT", `/${index}-x/_doc/child${n}?routing=p&refresh=true`, { n });
    const alias = `${index}-alias`;
    await call(url, "POST", "/_aliases", {
      actions: [{ add: { index: `${index}-x`, alias } }, { add: { index: `${index}-y`, alias, is_write_index: true } }],
    });
    const both = endpoint.replace(index, alias);
    const target = await open(both);
    const at = (suffix: string) => ({ index: `${index}-${suffix}` });
    expect(await remove(target, [{ id: "a", locator: at("x") }, { id: "b" }])).toMatchObject({ deleted: 2, absent: 0 });
    expect(await read(await open(both, "source"), { where: { suffix: { exists: true } } })).toMatchObject([
      { id: "a", suffix: "y" },
    ]);
    const children = Array.from({ length: 5 }, (_, n) => ({ id: `child${n}` }));
    const [first, ...others] = children.map((ref) => ({ ...ref, locator: { ...at("x"), routing: "p" } }));
    expect(await remove(target, [...children.slice(0, 3), first!, ...others])).toMatchObject({ deleted: 5, absent: 3 });
    expect(await idsIn(both)).toEqual(["a"]);
  });

  test("a locator that comes twice leads to one document, and not to another of the same id after it", async () => {
    const { index, endpoint } = testIndex(url);
    await call(url, "PUT", `/${index}`, { settings: { number_of_shards: 5, number_of_replicas: 0 } });
    for (const routing of ["p", "q"]) await call(url, "PUT", `/${index}/_doc/a?routing=${routing}&refresh=true`, {});
    const target = await open(endpoint);
    const twice = { id: "a", locator: { routing: "p" } };
    expect(await call(url, "GET", `/${index}/_count`)).toMatchObject({ count: 2 });
    expect(await remove(target, [twice, twice])).toMatchObject({ deleted: 1, absent: 1, changed: [], failures: [] });
    expect(await idsIn(endpoint)).toEqual(["a"]);
    expect(await remove(target, [{ id: "a" }, { id: "a" }])).toMatchObject({ deleted: 1, absent: 1 });
    expect(await idsIn(endpoint)).toEqual([]);
  });

  test("what is refused is a failure of its ref, which can be tried again when the server is busy", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }, { id: "b" }]);
    await using proxy = await startProxy(url);
    const target = await open(`${proxy.endpoint}/${index}`);
    const busy = { status: 429, error: { type: "es_rejected_execution_exception", reason: "full" } };
    proxy.answer = ({ path }) =>
      path.includes("/_bulk")
        ? {
            status: 200,
            body: { errors: true, items: [{ delete: busy }, { delete: { status: 404, result: "not_found" } }] },
          }
        : undefined;
    const { failures, ...counts } = await remove(target, [{ id: "none" }, { id: "a" }, { id: "b" }]);
    expect(counts).toEqual({ deleted: 0, absent: 2, changed: [] });
    expect(failures).toMatchObject([{ index: 1, id: "a", error: { code: "BUSY", retryable: true } }]);
    proxy.answer = () => undefined;
    await call(url, "PUT", `/${index}/_settings`, { "index.blocks.write": true });
    const blocked = await remove(target, [{ id: "a" }]);
    expect(blocked.failures).toMatchObject([{ index: 0, error: { code: "TARGET_NOT_WRITABLE" } }]);
  });

  test("what cannot be compared with an expected record is told as such, and deleted without", async () => {
    const { index, endpoint } = testIndex(url);
    const mappings = { _source: { excludes: ["secret"] } };
    await call(url, "PUT", `/${index}`, { settings: { number_of_replicas: 0 }, mappings });
    await call(url, "PUT", `/${index}/_doc/a?refresh=true`, { secret: 1 });
    const target = await open(endpoint);
    const { failures } = await remove(target, [{ id: "a", expected: recordDigest({ id: "a" }) }]);
    expect(failures).toMatchObject([{ index: 0, error: { code: "UNSUPPORTED_QUERY" } }]);
    expect(failures[0]!.error.message).toContain("secret");
    expect(await remove(target, [{ id: "a" }])).toMatchObject({ deleted: 1 });
  });

  test("one who may not refresh deletes what a search does not show yet", async () => {
    const { index } = testIndex(url);
    await call(url, "PUT", `/${index}`, { settings: { number_of_replicas: 0, refresh_interval: "-1" } });
    await call(url, "PUT", `/${index}/_doc/new`, { n: 1 });
    await using proxy = await startProxy(url);
    const denied = { error: { type: "security_exception", reason: "no" } };
    proxy.answer = ({ path }) => (path.endsWith("/_refresh") ? { status: 403, body: denied } : undefined);
    const target = await open(`${proxy.endpoint}/${index}`);
    const guarded = await remove(target, [{ id: "new", expected: recordDigest({ id: "new", n: 1 }) }]);
    expect(guarded.failures).toMatchObject([{ error: { code: "BUSY", retryable: true } }]);
    expect(await remove(target, [{ id: "new" }, { id: "none" }])).toMatchObject({
      deleted: 1,
      absent: 1,
      failures: [],
    });
    expect(await call(url, "GET", `/${index}/_doc/new`, undefined, [404])).toMatchObject({ found: false });
  });

  test("an abort rejects soon with its reason", async () => {
    const { index, endpoint } = testIndex(url);
    await write(await open(endpoint), [{ id: "a" }]);
    await using proxy = await startProxy(url);
    const target = await open(`${proxy.endpoint}/${index}`);
    const controller = new AbortController();
    const reason = new Error("enough");
    proxy.onRequest = ({ path }) => {
      if (!path.includes("/_bulk")) return;
      proxy.silent = true;
      controller.abort(reason);
    };
    expect(await rejection(target.deleteFromTarget!([{ id: "a" }], { signal: controller.signal }))).toBe(reason);
  });
});
