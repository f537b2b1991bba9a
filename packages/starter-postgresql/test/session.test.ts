import { isP2PError } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { calm, rejection, Scratch } from "./support.ts";

describeWithService("postgresql", "a session", ({ url }) => {
  const scratch = new Scratch(url, "session");

  it("gives cells as the server's text, whatever the settings of the database are", async () => {
    const schema = await scratch.schema();
    const store = await schema.store(undefined, {
      options: "-c DateStyle=German -c TimeZone=Asia/Tokyo -c bytea_output=escape",
    });
    const { rows, fields } = await store.query(
      "read",
      calm,
      "SELECT 1 AS a, NULL, '2024-05-06 07:08:09+00'::timestamptz, '\\x00ff'::bytea, '1 day 02:03'::interval, 0.1::float8, $1::text",
      ["x"],
    );
    expect(rows).toEqual([["1", null, "2024-05-06 07:08:09+00", "\\x00ff", "P1DT2H3M", "0.1", "x"]]);
    expect(fields[0]).toEqual({ name: "a", typeOid: 23, typmod: -1 });
  });

  it("commits what returns and rolls back what throws", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int)");
    const store = await schema.store();
    const table = `"${schema.name}".t`;
    await store.transaction("write", calm, async (session) => {
      expect((await session.query(`INSERT INTO ${table} VALUES ($1), (2)`, ["1"])).rowCount).toBe(2);
      const [one, two] = await session.script(`SELECT count(*) FROM ${table}; SELECT 'ä;'`);
      expect([one!.rows, two!.rows]).toEqual([[["2"]], [["ä;"]]]);
    });
    const failure = await rejection(
      store.transaction("write", calm, async (session) => {
        await session.query(`DELETE FROM ${table}`);
        await session.query("SELECT 1/0");
      }),
    );
    expect(isP2PError(failure)).toBe(true);
    expect(failure.message).toMatch(/division by zero/);
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["2"]]);
    // A failure that was swallowed is no success.
    const swallowed = await rejection(
      store.transaction("write", calm, async (session) => {
        await session.query(`DELETE FROM ${table}`);
        await session.query("SELECT 1/0").catch(() => {});
      }),
    );
    expect(swallowed.message).toMatch(/rolled back/);
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["2"]]);
  });

  it("refuses to write where it only reads", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int)");
    const store = await schema.store();
    const failure = await rejection(store.query("read", calm, `INSERT INTO "${schema.name}".t VALUES (1)`));
    expect(failure.message).toMatch(/read-only transaction/);
    expect((await store.query("write", calm, `INSERT INTO "${schema.name}".t VALUES (1)`)).rowCount).toBe(1);
  });

  it("copies in and out", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int, b text)");
    const store = await schema.store();
    const table = `"${schema.name}".t`;
    const lines = function* () {
      for (let i = 0; i < 20_000; i++) yield `${i}\t${"x".repeat(100)}\n`;
    };
    expect(
      await store.transaction("write", calm, (session) => session.copyIn(`COPY ${table} FROM STDIN`, lines())),
    ).toBe(20_000);
    const read = async (most: number) =>
      store.transaction("read", calm, async (session) => {
        let bytes = 0;
        let first = "";
        for await (const chunk of session.copyOut(`COPY ${table} TO STDOUT`)) {
          first ||= chunk.toString().slice(0, 5);
          bytes += chunk.length;
          if (bytes >= most) break;
        }
        return { bytes, first };
      });
    const whole = await read(Infinity);
    expect(whole.first).toBe("0\txxx");
    expect(whole.bytes).toBe([...lines()].join("").length);
    // One who leaves early leaves the connection in order.
    expect((await read(1)).bytes).toBeLessThan(whole.bytes);
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
  });

  it("says what is wrong with the rows of a copy", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int)");
    const store = await schema.store();
    const copy = (chunks: Iterable<string>) =>
      store.transaction("write", calm, (session) => session.copyIn(`COPY "${schema.name}".t FROM STDIN`, chunks));
    const failure = await rejection(copy(["1\n", "x\n"]));
    expect((failure.cause as { where: string }).where).toMatch(/line 2/);
    const broken = function* () {
      yield "1\n";
      throw new Error("the chunks broke");
    };
    expect((await rejection(copy(broken()))).message).toMatch(/the chunks broke/);
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["0"]]);
    expect(await copy(["1\n", "2\n"])).toBe(2);
  });

  it("calls a statement off at the server when its signal aborts", async () => {
    const schema = await scratch.schema();
    const store = await schema.store();
    const started = performance.now();
    for (const run of [
      (signal: AbortSignal) => store.query("read", signal, `SELECT pg_sleep(30), '${schema.name}'`),
      (signal: AbortSignal) =>
        store.transaction("read", signal, async (session) => {
          await session.query("SELECT 1");
          await session.query(`SELECT pg_sleep(30), '${schema.name}'`);
        }),
    ]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), 200);
      expect((await rejection(run(controller.signal))).message).toBe("enough");
    }
    expect(performance.now() - started).toBeLessThan(5000);
    await expect
      .poll(() =>
        scratch.sql(
          `SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND query LIKE '%${schema.name}%' AND state = 'active' AND pid <> pg_backend_pid()`,
        ),
      )
      .toEqual([["0"]]);
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
  });

  it("gives up a copy in the middle, in either direction", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int, b text)");
    const store = await schema.store();
    const table = `"${schema.name}".t`;
    const endless = function* () {
      for (let i = 0; ; i++) yield `${i}\t${"x".repeat(1000)}\n`;
    };
    const abortedAfter = (ms: number) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), ms);
      return controller.signal;
    };
    const started = performance.now();
    const into = store.transaction("write", abortedAfter(150), (session) =>
      session.copyIn(`COPY ${table} FROM STDIN`, endless()),
    );
    expect((await rejection(into)).message).toBe("enough");
    const signal = abortedAfter(150);
    const out = store.transaction("read", signal, async (session) => {
      const copy = "COPY (SELECT g, repeat('x', 1000) FROM generate_series(1, 100000000) g) TO STDOUT";
      for await (const chunk of session.copyOut(copy)) if (chunk.length === 0) break;
    });
    expect((await rejection(out)).message).toBe("enough");
    expect(performance.now() - started).toBeLessThan(5000);
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["0"]]);
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
  });

  it("describes a query that is not run", async () => {
    const schema = await scratch.schema(
      "CREATE DOMAIN money_text AS numeric(10, 2); CREATE TYPE mood AS ENUM ('sad', 'ok')",
    );
    const store = await schema.store();
    const columns = await store.describeQuery(
      calm,
      `SELECT 1::int4 AS a, ARRAY['x'] AS b, 'sad'::"${schema.name}".mood AS c, 1::"${schema.name}".money_text AS d FROM pg_sleep(30)`,
    );
    expect(
      columns.map(({ name, type }) => [name, type.name, type.kind, type.element?.name ?? type.base?.name]),
    ).toEqual([
      ["a", "int4", "base", undefined],
      ["b", "_text", "array", "text"],
      ["c", "mood", "enum", undefined],
      // The server itself tells of a query's columns by the types under their domains.
      ["d", "numeric", "base", undefined],
    ]);
    expect((await rejection(store.describeQuery(calm, "SELEC 1"))).message).toMatch(/syntax error/);
  });

  it("calls off the description of a query that waits for a lock", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a int)");
    const store = await schema.store(undefined, { application_name: schema.name });
    const sql = `SELECT * FROM "${schema.name}".t`;
    await schema.sql("BEGIN; LOCK TABLE t");
    const controller = new AbortController();
    const described = rejection(store.describeQuery(controller.signal, sql));
    const waiting = async () =>
      (
        await scratch.sql(
          `SELECT FROM pg_stat_activity WHERE application_name = '${schema.name}' AND wait_event_type = 'Lock'`,
        )
      ).length;
    // Statistics are those of when a transaction first looked.
    await expect
      .poll(async () => {
        await scratch.sql("SELECT pg_stat_clear_snapshot()");
        return waiting();
      })
      .toBe(1);
    controller.abort(new Error("enough"));
    expect((await described).message).toBe("enough");
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
    await scratch.sql("SELECT pg_stat_clear_snapshot()");
    expect(await waiting()).toBe(0);
    await schema.sql("ROLLBACK");
    expect(await store.describeQuery(calm, sql)).toMatchObject([{ name: "a" }]);
  });

  it("does not leave a session behind when a connection is killed", async () => {
    const schema = await scratch.schema();
    const store = await schema.store(undefined, { application_name: schema.name });
    const kill = () =>
      scratch.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '${schema.name}'`);
    await kill();
    // An idle connection that is gone is not given out, or its loss is told as one that may be over.
    const outcome = await store.query("read", calm, "SELECT 1").catch((error: unknown) => error);
    if (isP2PError(outcome)) expect([outcome.code, outcome.retryable]).toEqual(["CONNECTION_LOST", true]);
    const running = rejection(store.query("read", calm, "SELECT pg_sleep(30)"));
    await expect.poll(async () => (await kill()).length).toBeGreaterThan(0);
    const failure = await running;
    expect([failure.code, failure.retryable]).toEqual(["CONNECTION_LOST", true]);
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
  });
});
