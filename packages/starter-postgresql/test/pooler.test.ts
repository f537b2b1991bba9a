import { ServiceUnavailableError, startPgbouncer, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openStore } from "../src/client/open.ts";
import { parsePostgresqlEndpoint } from "../src/endpoint.ts";
import { calm, cleanUp, openEndpoint, readAll, rejection, Scratch, serverEndpoint, write } from "./support.ts";

describeWithService("postgresql", "behind a pooler in transaction mode", ({ url }) => {
  const scratch = new Scratch(url, "pooler");
  let pooler: TestService | undefined;
  beforeAll(async () => {
    try {
      // Two sessions of the server for all, so that each client meets those of the others.
      pooler = await startPgbouncer(url, { settings: { default_pool_size: "2" } });
    } catch (error) {
      if (!(error instanceof ServiceUnavailableError)) throw error;
      console.info(`the tests behind a pooler are left out: ${error.message}`);
    }
  });
  afterAll(() => pooler?.stop());

  const open = async () => {
    const endpoint = parsePostgresqlEndpoint(serverEndpoint(pooler!.url), "target");
    const store = await openStore(endpoint, { role: "target", signal: calm, connectTimeoutMs: 10_000 });
    cleanUp(() => store.close());
    return store;
  };

  it("keeps its settings to its own transactions, and finds them in each", async (context) => {
    if (pooler === undefined) return context.skip("there is no PgBouncer");
    const stores = await Promise.all([open(), open(), open()]);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        stores[at % 3]!.query(
          "read",
          calm,
          "SELECT current_setting('DateStyle'), current_setting('TimeZone'), $1::int4",
          [String(at)],
        ),
      ),
    );
    expect(answers.map(({ rows }) => rows[0])).toEqual(
      Array.from({ length: 60 }, (_, at) => ["ISO, YMD", "UTC", String(at)]),
    );
  });

  it("copies through temporary tables, and calls off what is aborted", async (context) => {
    if (pooler === undefined) return context.skip("there is no PgBouncer");
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const [one, two] = [await open(), await open()];
    const stage = (store: typeof one, from: number) =>
      store.transaction("write", calm, async (session) => {
        await session.script("CREATE TEMP TABLE stage (id int) ON COMMIT DROP");
        await session.copyIn("COPY pg_temp.stage FROM STDIN", [`${from}\n`, `${from + 1}\n`]);
        await session.query(`INSERT INTO "${schema.name}".t SELECT id FROM pg_temp.stage`);
      });
    await Promise.all([stage(one, 0), stage(two, 10), stage(one, 20), stage(two, 30)]);
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["8"]]);
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 200);
    const started = performance.now();
    expect((await rejection(one.query("read", controller.signal, "SELECT pg_sleep(20)"))).message).toBe("enough");
    expect((await two.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
    expect((await one.query("read", calm, "SELECT 2")).rows).toEqual([["2"]]);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("writes, reads, looks up and deletes from several sides at once", async (context) => {
    if (pooler === undefined) return context.skip("there is no PgBouncer");
    const schema = await scratch.schema();
    const endpoint = serverEndpoint(pooler.url, { table: "docs", schema: schema.name });
    const opened = async (role: "source" | "target") => {
      const service = await openEndpoint(endpoint, role);
      cleanUp(() => service.close());
      return service;
    };
    const targets = [await opened("target"), await opened("target")];
    const batch = (from: number) =>
      Array.from({ length: 250 }, (_, at) => ({
        id: from + at,
        text: `text ${from + at}`,
        at: new Date(from + at),
        list: [at, null],
      }));
    await write(targets[0]!, batch(0));
    const results = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7].map((part) => write(targets[part % 2]!, batch(part * 250))),
    );
    expect(results.map(({ written }) => written)).toEqual(results.map(() => 250));
    const sources = [await opened("source"), await opened("source"), await opened("source")];
    const reads = await Promise.all(sources.map((source) => readAll(source)));
    const all = Array.from({ length: 8 }, (_, part) => batch(part * 250)).flat();
    for (const read of reads) expect(read).toEqual(all);
    const refs = all.map(({ id }) => ({ id }));
    const [found, deleted] = await Promise.all([
      sources[0]!.lookUp!(refs.slice(0, 1000), {}, { signal: calm }),
      targets[0]!.deleteFromTarget!(refs.slice(1000), { signal: calm }),
    ]);
    expect(found.every(({ state }) => state === "wanted")).toBe(true);
    expect(deleted).toMatchObject({ deleted: 1000, absent: 0 });
    expect(await sources[1]!.count({}, calm)).toBe(1000);
  });

  it("says what the pooler does not take", async (context) => {
    if (pooler === undefined) return context.skip("there is no PgBouncer");
    const endpoint = parsePostgresqlEndpoint(serverEndpoint(pooler.url, { options: "-c work_mem=1MB" }), "source");
    const error = await rejection(openStore(endpoint, { role: "source", signal: calm, connectTimeoutMs: 5000 }));
    expect(error.message).toMatch(/unsupported startup parameter: options/);
  });
});
