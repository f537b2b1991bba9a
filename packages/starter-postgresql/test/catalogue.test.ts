import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { calm, Scratch } from "./support.ts";

describeWithService("postgresql", "the catalogue", ({ url }) => {
  const scratch = new Scratch(url, "catalogue");

  const tableOf = async (sql: string, table: string, options: Record<string, unknown> = {}) => {
    const schema = await scratch.schema(sql);
    const store = await schema.store(table, options);
    return store.table(calm);
  };

  it("knows columns with their types, domains, arrays and enums", async () => {
    const table = (await tableOf(
      `CREATE TYPE mood AS ENUM ('sad', 'ok');
       CREATE DOMAIN price AS numeric(10, 2) CHECK (VALUE > 0);
       CREATE DOMAIN fair AS price;
       CREATE TABLE t (
         id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
         cost fair NOT NULL, moods mood[], name varchar(20) COLLATE "C" DEFAULT 'x', word text, double int GENERATED ALWAYS AS (1 + 1) STORED,
         gone int, area box[], at timestamptz(3)
       );
       ALTER TABLE t DROP COLUMN gone`,
      "t",
    ))!;
    expect(table).toMatchObject({ type: "table", own: false, hasTriggers: false, rowSecurity: false });
    const column = (name: string) => table.columns.find((one) => one.name === name)!;
    expect(table.columns.map(({ name }) => name)).toEqual([
      "id",
      "cost",
      "moods",
      "name",
      "word",
      "double",
      "area",
      "at",
    ]);
    expect(column("id")).toMatchObject({ identity: "always", notNull: true, declared: "bigint", collation: undefined });
    expect(column("cost")).toMatchObject({
      typmod: ((10 << 16) | 2) + 4,
      type: { kind: "domain", base: { name: "numeric", kind: "base" } },
    });
    expect(column("moods").type).toMatchObject({ kind: "array", element: { name: "mood", kind: "enum" } });
    expect(column("area").type.element).toMatchObject({ name: "box", delimiter: ";" });
    expect(column("name")).toMatchObject({
      declared: "character varying(20)",
      default: "'x'::character varying",
      byCodePoint: true,
      collation: '"pg_catalog"."C"',
    });
    // The test service's databases have the locale C.UTF-8.
    expect(column("word")).toMatchObject({ byCodePoint: true, collation: '"pg_catalog"."default"' });
    expect(column("double")).toMatchObject({ generated: true, default: undefined });
    expect(column("at").declared).toBe("timestamp(3) with time zone");
    expect(table.key).toMatchObject({ unique: true, primary: true, immediate: true });
  });

  it("knows a table without a mark whose sidecars hold what PostgreSQL's functions for JSON cannot read", async () => {
    const sidecar = JSON.stringify({ values: { a: "nul\0", b: "\ud800", c: '\\u0000"' }, absent: ["\0"] });
    const table = await tableOf(
      `CREATE TABLE t (id bigint PRIMARY KEY, a text, _p2p json); INSERT INTO t VALUES (1, 'nul', '${sidecar}')`,
      "t",
    );
    expect(table!.own).toBe(true);
    const theirs = await tableOf(
      `CREATE TABLE t (id bigint PRIMARY KEY, _p2p json); INSERT INTO t VALUES (1, '{"values":{},"peer\\u0000":1}')`,
      "t",
    );
    expect(theirs!.own).toBe(false);
  });

  it("finds what names the rows", async () => {
    const keyOf = async (sql: string, options: Record<string, unknown> = {}) => {
      const table = (await tableOf(sql, "t", options))!;
      const { key } = table;
      return [key.columns.map(({ column }) => column.field), key.unique, key.primary, key.immediate];
    };
    expect(await keyOf("CREATE TABLE t (b int, a text, PRIMARY KEY (a, b))")).toEqual([["a", "b"], true, true, true]);
    expect(await keyOf("CREATE TABLE t (a int UNIQUE)")).toEqual([[], false, false, false]);
    expect(await keyOf("CREATE TABLE t (a int NOT NULL UNIQUE, b int)")).toEqual([["a"], true, false, true]);
    expect(await keyOf("CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX ON t ((a + 1))")).toEqual([
      [],
      false,
      false,
      false,
    ]);
    expect(await keyOf("CREATE TABLE t (a int NOT NULL); CREATE UNIQUE INDEX ON t (a) WHERE a > 1")).toEqual([
      [],
      false,
      false,
      false,
    ]);
    expect(await keyOf("CREATE TABLE t (a int PRIMARY KEY DEFERRABLE)")).toEqual([["a"], true, true, false]);
    expect(await keyOf("CREATE TABLE t (id int, a int PRIMARY KEY)", { key: "id" })).toEqual([
      ["id"],
      false,
      false,
      false,
    ]);
    expect(await keyOf('CREATE TABLE t (id int, "a,b" int NOT NULL UNIQUE)', { key: '"a,b"' })).toEqual([
      ["a,b"],
      true,
      false,
      true,
    ]);
    expect(await keyOf("CREATE TABLE t (a int)", { key: "b" })).toEqual([[], false, false, false]);
  });

  it("lets a column id step aside that is not the key", async () => {
    const table = (await tableOf("CREATE TABLE t (id int, _id int, a int PRIMARY KEY)", "t"))!;
    expect(table.columns.map(({ field }) => field)).toEqual(["__id", "_id", "a"]);
  });

  it("knows a table of ours by its sidecar", async () => {
    const table = (await tableOf("CREATE TABLE t (id bigint PRIMARY KEY, a text, _p2p json, b text)", "t"))!;
    expect(table.own).toBe(true);
    expect(table.columns.map(({ name, optional }) => [name, optional])).toEqual([
      ["id", false],
      ["a", false],
      ["b", true],
    ]);
    expect((await tableOf("CREATE TABLE t (id bigint PRIMARY KEY, _p2p jsonb)", "t"))!.own).toBe(false);
  });

  it("tells a table of ours by its mark from one that happens to have such a column", async () => {
    const theirs = [
      "CREATE TABLE t (id int PRIMARY KEY, _p2p json)",
      "CREATE TABLE t (id text PRIMARY KEY, _p2p json)",
      'CREATE TABLE t (id text COLLATE "C" PRIMARY KEY, _p2p json NOT NULL)',
      "CREATE TABLE t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, _p2p json)",
      `CREATE TABLE t (id bigint PRIMARY KEY, _p2p json DEFAULT '{}')`,
      "CREATE TABLE t (id bigint PRIMARY KEY, _p2p json); COMMENT ON COLUMN t._p2p IS 'peers'",
      `CREATE TABLE t (id bigint PRIMARY KEY, _p2p json); INSERT INTO t VALUES (1, '{"values":{}}'), (2, '{"peer":1}')`,
      "CREATE TABLE t (id bigint PRIMARY KEY, _p2p json); INSERT INTO t VALUES (1, '[]')",
    ];
    for (const sql of theirs) {
      const table = (await tableOf(sql, "t"))!;
      expect([sql, table.own, table.columns.map(({ name }) => name)]).toEqual([sql, false, ["id", "_p2p"]]);
    }
    // Those that were made before there was a mark.
    for (const sql of [
      'CREATE TABLE t (id text COLLATE "C" PRIMARY KEY, a int NOT NULL DEFAULT 5, _p2p json)',
      `CREATE TABLE t (id bigint PRIMARY KEY, _p2p json); INSERT INTO t VALUES (1, NULL), (2, '{"values":{"a":1},"absent":["b"]}')`,
    ]) {
      expect([sql, (await tableOf(sql, "t"))!.own]).toEqual([sql, true]);
    }
  });

  it("knows views, partitioned tables, triggers, rules and row-level security", async () => {
    expect(await tableOf("CREATE VIEW t AS SELECT 1 AS a", "t")).toMatchObject({
      type: "view",
      bytes: -1,
      estimatedRows: -1,
    });
    expect(await tableOf("CREATE MATERIALIZED VIEW t AS SELECT 1 AS a", "t")).toMatchObject({
      type: "materializedView",
    });
    expect(
      await tableOf(
        "CREATE TABLE t (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (9)",
        "t",
      ),
    ).toMatchObject({ type: "partitioned", key: { unique: true } });
    expect(
      await tableOf("CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING", "t"),
    ).toMatchObject({ hasTriggers: true });
    expect(await tableOf("CREATE TABLE t ()", "t")).toMatchObject({ columns: [] });
  });

  it("finds names however they are written", async () => {
    const schema = await scratch.schema(
      `CREATE TABLE "select" (a int); CREATE TABLE "a.b" (a int); CREATE TABLE "UPPER" (a int); CREATE TABLE "q""uo'te" (a int); CREATE TABLE "${"x".repeat(63)}" (a int); CREATE TABLE lower (a int)`,
    );
    const found = async (name: string) => (await (await schema.store(name)).table(calm))?.name;
    expect(await found("select")).toBe("select");
    expect(await found('"a.b"')).toBe("a.b");
    expect(await found("UPPER")).toBe("UPPER");
    expect(await found("upper")).toBeUndefined();
    expect(await found("LOWER")).toBe("lower");
    expect(await found(`"q""uo'te"`)).toBe(`q"uo'te`);
    expect(await found("x".repeat(63))).toBe("x".repeat(63));
    await expect(found("x".repeat(64))).rejects.toThrow(/has 64 bytes/);
    expect(await found(`${schema.name}.lower`)).toBe("lower");
  });
});
