import {
  compareRecords,
  matches,
  type P2PCondition,
  type P2POperators,
  type P2PQuery,
  type P2PRecord,
  parseQuery,
} from "@omni/p2p-core/starter";
import { assertSameRecords } from "@omni/p2p-testkit";
import * as fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { at, calm, databaseWith, open, readAll } from "./support.ts";

const TYPES = [
  "INTEGER",
  "REAL",
  "NUMERIC",
  "TEXT",
  "TEXT COLLATE NOCASE",
  "BLOB",
  "",
  "BOOLEAN",
  "DATETIME",
  "JSON",
  "VARCHAR(20) COLLATE RTRIM",
  "DECIMAL(10,2)",
];

/** Values that SQLite may be given, among them many that look like others. */
const CELLS: readonly unknown[] = [
  null,
  0,
  1,
  5,
  -3.5,
  1e300,
  9007199254740993n,
  -9223372036854775808n,
  "",
  "5",
  "05",
  "abc",
  "ABC",
  "abc ",
  "true",
  "1e3",
  "ｚ",
  "😀",
  "2024-01-02T03:04:05.006Z",
  "2024-01-02 03:04:05",
  '{"a":1}',
  '{"a": 1}',
  "[1]",
  new Uint8Array(0),
  Uint8Array.of(1, 2),
  Uint8Array.of(0x61, 0x62, 0x63),
];

const SCALARS: readonly Exclude<P2PCondition, P2POperators | null>[] = [
  0,
  1,
  5,
  1000,
  -3.5,
  1e300,
  9007199254740993n,
  -9223372036854775808n,
  2n ** 64n,
  -(2n ** 200n),
  10n ** 400n,
  Number.POSITIVE_INFINITY,
  true,
  false,
  "",
  "5",
  "05",
  "abc",
  "abd",
  "ABC",
  "2024-01-02T03:04:05.006Z",
  "2024",
  "{",
  "😀",
  new Date("2024-01-02T03:04:05.006Z"),
  new Date("2024-01-02T03:04:05.007Z"),
  new Date(-1e14),
  new Date(8e15),
  new Uint8Array(0),
  Uint8Array.of(1, 2),
];

function conditions(): P2PCondition[] {
  const list: P2PCondition[] = [null, { ne: null }, { exists: true }, { exists: false }];
  for (const value of SCALARS) {
    list.push(
      value,
      { ne: value },
      { gt: value },
      { gte: value },
      { lt: value },
      { lte: value },
      { in: [value, null, "abc"] },
    );
    if (typeof value === "string") list.push({ prefix: value });
  }
  return list;
}

for (const encoding of ["UTF-8", "UTF-16le"])
  describe(`where and orderBy on tables in ${encoding} that others made mean what they mean everywhere`, () => {
    let file: string;
    let all: readonly P2PRecord[];

    beforeEach(async () => {
      const columns = TYPES.map((type, i) => `c${i} ${type}`).join(", ");
      file = databaseWith(
        `PRAGMA encoding = '${encoding}'; CREATE TABLE t (id INTEGER PRIMARY KEY, ${columns});`,
        (db) => {
          const insert = db.prepare(`INSERT INTO t VALUES (?, ${TYPES.map(() => "?").join(", ")})`);
          for (const [i, cell] of CELLS.entries()) insert.run(i + 1, ...TYPES.map(() => cell));
          db.exec("CREATE INDEX by_3 ON t (c3); CREATE INDEX by_0 ON t (c0, c3); CREATE INDEX by_8 ON t (c8)");
        },
      );
      const source = await open(at(file), "source");
      all = (await readAll(source)).records;
      await source.close();
      expect(all).toHaveLength(CELLS.length);
    });

    const assertFound = async (query: P2PQuery): Promise<void> => {
      const source = await open(at(file), "source");
      const parsed = parseQuery(query);
      const expected = all.filter((record) => matches(parsed.conditions, record));
      const { records } = await readAll(source, query, { batchSize: 5 });
      assertSameRecords(records, expected, {
        context: String(query.where && JSON.stringify(Object.keys(query.where))),
      });
      expect(await source.count(query, calm())).toBe(expected.length);
      await source.close();
    };

    for (const [i, type] of TYPES.entries()) {
      test(`where on ${type || "no type"}`, async () => {
        const source = await open(at(file), "source");
        for (const condition of conditions()) {
          const query = { where: { [`c${i}`]: condition } };
          const expected = all.filter((record) => matches(parseQuery(query).conditions, record)).map(({ id }) => id);
          const { records } = await readAll(source, query, { batchSize: 5 });
          const context = JSON.stringify(condition, (_, v: unknown) => (typeof v === "bigint" ? `${v}n` : v));
          expect(
            records.map(({ id }) => id),
            `${type} ${context}`,
          ).toEqual(expected);
          expect(await source.count(query, calm()), `count ${type} ${context}`).toBe(expected.length);
        }
      });
    }

    test("several conditions, on any columns", async () => {
      const one = fc.tuple(fc.nat(TYPES.length - 1), fc.constantFrom(...conditions()));
      await fc.assert(
        fc.asyncProperty(fc.uniqueArray(one, { minLength: 1, maxLength: 3, selector: ([c]) => c }), async (entries) => {
          await assertFound({ where: Object.fromEntries(entries.map(([c, condition]) => [`c${c}`, condition])) });
        }),
        { numRuns: 60 },
      );
    });

    test("orderBy on every column, with and without an index", async () => {
      const source = await open(at(file), "source");
      for (const [i, type] of TYPES.entries()) {
        for (const direction of ["asc", "desc"] as const) {
          const query: P2PQuery = { orderBy: { field: `c${i}`, direction } };
          const { records, batches } = await readAll(source, query, { batchSize: 4 });
          expect(new Set(records.map(({ id }) => id)).size).toBe(CELLS.length);
          assertSorted(records, query, type);
          for (const [n, batch] of batches.entries()) {
            const rest = await readAll(source, query, { batchSize: 4, after: batch.cursor });
            assertSameRecords(rest.records, records.slice((n + 1) * 4), { ordered: true });
          }
        }
      }
    });
  });

/** Neighbours of types that can be compared are in order; others have no order of their own. */
function assertSorted(records: readonly P2PRecord[], query: P2PQuery, type: string): void {
  const { orderBy } = parseQuery(query);
  for (const [n, record] of records.entries()) {
    if (n === 0) continue;
    const before = records[n - 1]!;
    const { field } = orderBy[0]!;
    if (valueKind(before[field]) !== valueKind(record[field])) continue;
    expect(
      compareRecords(orderBy, before, record),
      `${type}: ${String(before[field])}, ${String(record[field])}`,
    ).toBeLessThan(0);
  }
}

function valueKind(value: unknown): string {
  if (value === null) return "null";
  if (value instanceof Date) return "date";
  if (value instanceof Uint8Array) return "bytes";
  if (typeof value === "object") return "none";
  return typeof value === "bigint" ? "number" : typeof value;
}
