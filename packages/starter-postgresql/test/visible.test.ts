import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { type P2PRecord, type P2PValue, TaggedValue, valueType } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { assertSameRecords, valueArbitrary } from "@omni/p2p-testkit";
import fc from "fast-check";
import { expect, it } from "vitest";
import { quote } from "../src/client/sql.ts";
import { postgresqlStarter } from "../src/index.ts";
import { cleanUp, readAll, Scratch, write } from "./support.ts";

const values: fc.Arbitrary<P2PValue> = fc.oneof(
  { arbitrary: valueArbitrary({ maxStringLength: 100, maxBytesLength: 20, maxDepth: 2 }), weight: 3 },
  fc.constantFrom<P2PValue>(null, Number.NaN, -0, 2 ** 53, 1e300, 5n, 10n ** 400n, "a\0b", "12", "[1]", {
    a: "\0",
    b: 1,
  }),
  fc.constantFrom<P2PValue>(
    new TaggedValue("postgresql:numeric", "1.50"),
    new TaggedValue("postgresql:numeric", "1.5"),
    new TaggedValue("postgresql:timestamptz", "2024-01-02T03:04:05.678901Z"),
    new TaggedValue("postgresql:interval", "P1D"),
    new TaggedValue("postgresql:interval", "1 day"),
    new TaggedValue("mongodb:objectId", "64b7f0c2a1b2c3d4e5f60718"),
  ),
);
const fields = ["a", "b", "c", "d"];
const record = fc.dictionary(fc.constantFrom(...fields), values, { maxKeys: 4 });
/** A field is of one kind, or null, in a batch; so that columns get types, which later values then do not fit. */
const sameKind = fc
  .tuple(
    fc.array(fc.subarray(fields), { minLength: 1, maxLength: 4 }),
    fc.record({ a: values, b: values, c: values, d: values }),
  )
  .map(([present, row]) => present.map((names) => Object.fromEntries(names.map((name) => [name, row[name as "a"]]))));
const batches = fc.array(fc.oneof(sameKind, fc.array(record, { minLength: 1, maxLength: 4 })), {
  minLength: 1,
  maxLength: 4,
});

/** What a column of a type says of a value, when it says anything; `undefined` where it cannot. */
function shownIn(type: string, value: P2PValue, cell: string): boolean | undefined {
  const kind = valueType(value);
  switch (type) {
    case "text":
      if (kind === "string") return cell === (value as string).replaceAll("\0", "␀");
      return kind === "number" || kind === "bigint" || kind === "boolean"
        ? cell === (Object.is(value, -0) ? "-0" : String(value))
        : cell !== "";
    case "double precision":
      return kind === "number"
        ? Object.is(Number(cell), value)
        : kind === "bigint"
          ? BigInt(Number(cell)) === value
          : undefined;
    case "numeric":
      if (kind === "number") return Number(cell) === value;
      return kind === "bigint" ? BigInt(cell) === value : (value as TaggedValue).value === cell;
    case "boolean":
      return kind === "boolean" && cell === (value ? "t" : "f");
    case "jsonb":
      return true;
    default:
      return undefined;
  }
}

/** Whether a cell of the type must show something of the value, and not be NULL. */
function mustShow(type: string, value: P2PValue): boolean {
  const kind = valueType(value);
  if (kind === "null") return false;
  if (type === "text" || type === "jsonb") return true;
  if (type === "double precision") return kind === "number";
  if (type === "numeric")
    return kind === "bigint" || (kind === "number" && Number.isFinite(value) && !Object.is(value, -0));
  if (type === "boolean") return kind === "boolean";
  return type === "bytea" && kind === "bytes";
}

describeWithService("postgresql", "tables of ours", ({ url }) => {
  const scratch = new Scratch(url, "visible");

  it("show every value that a cell can say, whatever came first, and give back equal records", async () => {
    const schema = await scratch.schema();
    let tables = 0;
    await fc.assert(
      fc.asyncProperty(batches, async (parts) => {
        const name = `t${++tables}`;
        const target = await postgresqlStarter.open(schema.endpoint(name), {
          role: "target",
          signal: new AbortController().signal,
          connectTimeoutMs: 10_000,
        });
        try {
          let next = 0;
          const written: P2PRecord[] = [];
          for (const part of parts) {
            const records = part.map((row) => ({ ...row, id: `r${next++}` }) as P2PRecord);
            expect(await write(target, records)).toMatchObject({ written: records.length, failures: [] });
            written.push(...records);
          }
          assertSameRecords(await readAll(target), written);
          const columns = await schema.sql(
            `SELECT a.attname, format_type(a.atttypid, -1) FROM pg_attribute a WHERE attrelid = '${name}'::regclass AND attnum > 0`,
          );
          const types = new Map(columns as [string, string][]);
          for (const field of fields.filter((one) => types.has(one))) {
            const cells = new Map((await schema.sql(`SELECT id, ${quote(field)} FROM ${name}`)) as [string, string][]);
            const type = types.get(field)!;
            for (const row of written) {
              const value = row[field];
              if (value === undefined) continue;
              const cell = cells.get(row.id as string) ?? null;
              const what = `${field} ${type}: ${valueType(value)} as ${cell}`;
              if (cell !== null) expect(shownIn(type, value, cell), what).not.toBe(false);
              else expect(mustShow(type, value), what).toBe(false);
            }
          }
        } finally {
          await target.close();
        }
      }),
      { numRuns: 40 },
    );
  });

  it("are newer in their cells than in the sidecar, where others have written over them", async () => {
    const schema = await scratch.schema();
    const target = await schema.open("t", {}, "target");
    await write(target, [{ id: 1, n: 1, big: 1n, mixed: "x", doc: { a: 1 } }]);
    await write(target, [
      { id: 2, n: 5n, big: 1.5, mixed: 5, doc: { a: "\0" } },
      { id: 3, n: "text", big: -0, mixed: new Date(5), doc: { b: "\0" } },
    ]);
    expect(await schema.sql("SELECT n, big, mixed, doc FROM t ORDER BY id")).toEqual([
      ["1", "1", "x", '{"a": 1}'],
      ["5", "1.5", "5", '{"a": "␀"}'],
      [null, null, "1970-01-01T00:00:00.005Z", '{"b": "␀"}'],
    ]);
    await schema.sql(
      `UPDATE t SET n = n + 1, big = big + 1, mixed = 'new', doc = doc || '{"c": 2}' WHERE id > 1;
       INSERT INTO t (id, n, mixed, doc) VALUES (4, 2, 'plain', 'null')`,
    );
    assertSameRecords(await readAll(target), [
      { id: 1, n: 1, big: 1n, mixed: "x", doc: { a: 1 } },
      { id: 2, n: 6, big: 2.5, mixed: "new", doc: { a: "␀", c: 2 } },
      { id: 3, n: "text", big: -0, mixed: "new", doc: { b: "␀", c: 2 } },
      { id: 4, n: 2, big: null, mixed: "plain", doc: null },
    ]);
  });

  it("keep ids of any type in a table whose first ids were integers", async () => {
    const schema = await scratch.schema();
    const target = await schema.open("t", {}, "target");
    await write(target, [{ id: 1 }, { id: 2 }]);
    const others: P2PRecord[] = [
      { id: "abc", n: 1 },
      { id: 1.5 },
      { id: 2n ** 63n },
      { id: 2n ** 62n },
      { id: -(2n ** 63n) },
      { id: new Date(0) },
      { id: Uint8Array.of(1, 2) },
      { id: true },
      { id: "05" },
      { id: { a: 1 } },
      { id: new TaggedValue("x:y", "z") },
      { id: "长".repeat(3000) },
      { id: "a\u0000b" },
      { id: 5n },
      { id: "6" },
      { id: -0 },
    ];
    expect(await write(target, others)).toMatchObject({ written: others.length, failures: [] });
    expect(await write(target, others, "skip")).toMatchObject({ skipped: others.length });
    assertSameRecords(await readAll(target), [{ id: 1 }, { id: 2 }, ...others]);
    expect(await schema.sql("SELECT id FROM t WHERE id BETWEEN 0 AND 10 ORDER BY id")).toEqual(
      ["0", "1", "2", "5", "6"].map((id) => [id]),
    );
  });

  it("keep names that PostgreSQL cannot have, and more fields than it has columns", async () => {
    const schema = await scratch.schema();
    const awkward = [
      "Name",
      "name",
      "_p2p",
      "ctid",
      "xmin",
      "tableoid",
      "a\0b",
      "",
      'a"b',
      "a;b",
      "é",
      "长".repeat(22),
      "x".repeat(63),
      "x".repeat(64),
    ];
    const target = await schema.open("t", {}, "target");
    const many = Object.fromEntries(Array.from({ length: 2500 }, (_, n) => [`f${n}`, n % 2 === 0 ? `text ${n}` : n]));
    const records: P2PRecord[] = [
      { id: "a", ...Object.fromEntries(awkward.map((name, n) => [name, n])) },
      { id: "b", ...many },
      { id: "c", g1: 1, constructor: 2, toString: null },
      JSON.parse('{"id":"d","__proto__":5}') as P2PRecord,
    ];
    for (const one of records) expect(await write(target, [one])).toMatchObject({ written: 1, failures: [] });
    assertSameRecords(await readAll(target), records);
    expect(await write(await schema.open("t2", {}, "target"), records)).toMatchObject({ written: 4, failures: [] });
    assertSameRecords(await readAll(await schema.open("t2")), records);
  });

  it("are copied to another table of ours with their values and types", async () => {
    const schema = await scratch.schema();
    const records: P2PRecord[] = [
      {
        id: 1,
        n: 5n,
        s: "a\0b",
        when: new Date(-8.64e15),
        price: new TaggedValue("postgresql:numeric", "1.50"),
        mixed: 1,
      },
      { id: 2, n: 1.5, s: "x", when: new Date(0), price: 1, mixed: [Number.NaN], later: { a: 1n } },
    ];
    await write(await schema.open("t", {}, "target"), records);
    const manager = new DefaultP2PConnectionManager();
    cleanUp(() => manager[Symbol.asyncDispose]());
    manager.registerService("postgresql", postgresqlStarter);
    const { connectionId } = await manager.establish(schema.endpoint("t"), schema.endpoint("u"));
    expect(await manager.transferThroughConnection(connectionId, {})).toMatchObject({
      successCount: 2,
    });
    assertSameRecords(await readAll(await schema.open("u")), records);
  });
});
