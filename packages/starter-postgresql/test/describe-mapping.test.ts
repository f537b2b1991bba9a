import { type DescribeContext, getField, type P2PRecord, TaggedValue, valuesEqual } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { postgresqlStarter } from "../src/index.ts";
import { calm, readAll, Scratch, type ScratchSchema, write } from "./support.ts";

const context: DescribeContext = { role: "target", signal: calm, connectTimeoutMs: 10_000 };

describeWithService("postgresql", "describeMapping", ({ url }) => {
  const scratch = new Scratch(url, "describe");

  const describeMapping = (
    schema: ScratchSchema,
    sample: readonly P2PRecord[],
    options: Record<string, unknown> = {},
    more: Partial<DescribeContext> = {},
  ) => postgresqlStarter.describeMapping!(schema.endpoint("t", options), sample, { ...context, ...more });

  it("of a table that is not there yet, which it does not make", async () => {
    const schema = await scratch.schema();
    const mappings = await describeMapping(schema, [
      { id: 1, title: "a", mixed: 1, odd: "x\0", ctid: "b", price: new TaggedValue("postgresql:numeric", "1.50") },
      { id: 2, title: "b", mixed: "x", odd: "y", nothing: null },
    ]);
    expect(mappings.map(({ field, storedAs, lossless }) => [field, storedAs, lossless])).toEqual([
      ["id", "bigint", true],
      ["title", "text", true],
      ["mixed", "jsonb", true],
      ["odd", "text, _p2p", true],
      ["ctid", "_p2p", true],
      ["price", "numeric", true],
      ["nothing", "_p2p", true],
    ]);
    expect(await scratch.sql(`SELECT * FROM pg_tables WHERE schemaname = '${schema.name}'`)).toEqual([]);
  });

  it("of a table of ours tells what a new field becomes, and takes no lock that others wait for", async () => {
    const schema = await scratch.schema();
    await write(await schema.open("t", {}, "target"), [{ id: 1, n: 1 }]);
    const [id, n, when] = await describeMapping(schema, [{ id: "x", n: 5n, when: new Date(0) }]);
    expect([id!.storedAs, n!.storedAs, when!.storedAs]).toEqual([
      "bigint, _p2p",
      "double precision, _p2p",
      "timestamp with time zone",
    ]);
  });

  it("of a table that others made says what would be refused, changed or left out", async () => {
    const schema = await scratch.schema(
      "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE DOMAIN small AS int CHECK (VALUE < 10);" +
        "CREATE TABLE t (id int PRIMARY KEY, n int, s text, g int GENERATED ALWAYS AS (1) STORED, m mood, d small, v varchar(3))",
    );
    const sample = [
      { id: 1, n: "abc", s: 5, g: 1, m: "happy", d: 20, v: "long", extra: true },
      { id: 2, n: 1, s: "x" },
    ];
    const mappings = await describeMapping(schema, sample);
    expect(mappings).toMatchObject([
      { field: "id", storedAs: "integer", lossless: true },
      { field: "n", storedAs: "integer", lossless: false, note: expect.stringContaining('"abc"') },
      { field: "s", storedAs: "text", lossless: false, note: "A number would come back as a string" },
      { field: "g", storedAs: "nothing", lossless: false },
      { field: "m", lossless: false, note: expect.stringContaining("happy") },
      { field: "d", lossless: false, note: expect.stringContaining("small_check") },
      { field: "v", storedAs: "character varying(3)", lossless: false },
      { field: "extra", storedAs: "nothing", lossless: false, note: expect.stringContaining("unknownFields") },
    ]);
    const adding = await describeMapping(schema, sample, { unknownFields: "add" });
    expect(adding.at(-1)).toMatchObject({ field: "extra", storedAs: "boolean", lossless: true });
  });

  it("of a table that would be made like the source's takes its declared types", async () => {
    const source = await scratch.schema(
      "CREATE TABLE t (code text PRIMARY KEY, price numeric(10,2) NOT NULL, at timestamptz); INSERT INTO t VALUES ('a', 1.5, 'infinity')",
    );
    const service = await source.open("t");
    const schema = await service.schema!({}, calm);
    const sample = await readAll(service);
    const target = await scratch.schema();
    const mappings = await describeMapping(target, sample, {}, { schema: schema! });
    expect(mappings.map(({ field, storedAs, lossless }) => [field, storedAs, lossless])).toEqual([
      ["id", "text", true],
      ["code", "text", true],
      ["price", "numeric(10,2)", true],
      ["at", "timestamp with time zone", true],
    ]);
  });

  it.each([
    [
      "null where the column is NOT NULL",
      "a text NOT NULL DEFAULT 'x'",
      { id: 1, a: null },
      /NOT NULL, so records with null/,
    ],
    ["a record without what has no default", "a text NOT NULL", { id: 1 }, /NOT NULL and has no default/],
    ["text with U+0000", "a text", { id: 1, a: "\0" }, /U\+0000/],
    ["what the server would round", "a timestamptz(0)", { id: 1, a: new Date(5) }, /cannot hold the date/],
  ])("of a table that others made finds %s", async (_, column, bad, note) => {
    const schema = await scratch.schema(`CREATE TABLE t (id int PRIMARY KEY, ${column})`);
    const mappings = await describeMapping(schema, [bad as P2PRecord]);
    expect(mappings.find(({ field }) => field === "a")).toMatchObject({
      lossless: false,
      note: expect.stringMatching(note),
    });
    const { failures } = await write(await schema.open("t", {}, "target"), [bad as P2PRecord]);
    expect(failures).toHaveLength(1);
  });

  it("of a table with another key finds ids that do not name its rows", async () => {
    const schema = await scratch.schema("CREATE TABLE t (a text, b text, PRIMARY KEY (a, b))");
    expect((await describeMapping(schema, [{ id: "x" }]))[0]).toMatchObject({
      storedAs: "the columns a, b",
      lossless: false,
    });
    expect((await describeMapping(schema, [{ id: '["x","y"]' }]))[0]).toMatchObject({ lossless: true });
  });

  it("keeps its word: what it calls lossless comes back, and what it does not is refused or comes otherwise", async () => {
    const types = [
      "bigint",
      "numeric(6,2)",
      "real",
      "text",
      "char(4)",
      "jsonb",
      "json",
      "date",
      "timestamp(1)",
      "uuid",
      "int[]",
      "text[]",
      "bytea",
      "interval",
      "boolean",
      "inet",
    ];
    const values = [
      5,
      1.25,
      0.1,
      1.005,
      2 ** 60,
      12n,
      "x",
      "abcd",
      "2024-01-02",
      "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
      true,
      new Date(Date.UTC(2024, 0, 2)),
      new Date(1704164645100),
      new Date(1704164645123),
      Uint8Array.of(1, 2),
      [],
      [1, null],
      ["a", "NULL"],
      [[1], [2]],
      { a: [1, "x"], b: -0 },
      new TaggedValue("postgresql:interval", "P1D"),
      new TaggedValue("postgresql:date", "2024-01-02"),
      new TaggedValue("postgresql:inet", "10.0.0.1"),
      new TaggedValue("mongodb:objectId", "64b7f0c2a1b2c3d4e5f60718"),
    ];
    const schema = await scratch.schema(
      `CREATE TABLE t (id int PRIMARY KEY, ${types.map((type, n) => `c${n} ${type}`).join(", ")})`,
    );
    const target = await schema.open("t", {}, "target");
    for (const [at, value] of values.entries()) {
      const record = { id: at, ...Object.fromEntries(types.map((_, n) => [`c${n}`, value])) } as P2PRecord;
      const mappings = await describeMapping(schema, [record]);
      const single = types.map((_, n) => ({ id: at * 100 + n, [`c${n}`]: value })) as P2PRecord[];
      const { failures } = await write(target, single);
      const found = new Map((await readAll(target)).map((one) => [one.id, one]));
      for (const [n, type] of types.entries()) {
        const { lossless, note } = mappings.find(({ field }) => field === `c${n}`)!;
        const back = found.get(at * 100 + n);
        const isKept = back !== undefined && valuesEqual(getField(back, `c${n}`), value);
        expect(isKept, `${type} ${String(value)} (${note})`).toBe(lossless);
        expect(back === undefined).toBe(failures.some(({ index }) => index === n));
      }
    }
  });
});
