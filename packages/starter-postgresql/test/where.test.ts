import {
  compareRecords,
  encodeJson,
  matches,
  type P2PDataTransferService,
  type P2PObject,
  type P2PQuery,
  type P2PRecord,
  type P2PValue,
  parseQuery,
  type QueryCondition,
} from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { beforeAll, describe, expect, it } from "vitest";
import { openStore } from "../src/client/open.ts";
import { quote } from "../src/client/sql.ts";
import type { PostgresqlStore } from "../src/client/store.ts";
import { parsePostgresqlEndpoint } from "../src/endpoint.ts";
import { Params } from "../src/query/params.ts";
import { translateWhere } from "../src/query/where.ts";
import { calm, openEndpoint, readAll, readBatches, Scratch } from "./support.ts";

/** A table of others with a column of every sort of type, and cells that are awkward for each. */
const TABLE = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'Happy');
  CREATE DOMAIN posint AS int CHECK (VALUE > 0);
  CREATE COLLATION IF NOT EXISTS nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
  CREATE TABLE everything (
    key bigint PRIMARY KEY,
    bool boolean, small smallint, int integer, big bigint, oid oid, single real, double double precision,
    dec numeric, money2 numeric(10, 2), whole numeric(30, 0), long numeric(30, 10),
    text text, folded text COLLATE nocase, varchar varchar(20), char char(5), name name, "char1" "char", uuid uuid, mood mood,
    bytes bytea, ts timestamp, tz timestamptz, tz3 timestamptz(3), date date, span interval, addr inet,
    json json, jsonb jsonb, ints int[], domain posint, must int NOT NULL DEFAULT 7
  );
  INSERT INTO everything (key, bool, small, int, big, oid, single, double, dec, money2, whole, long, text, folded, varchar, char, name, "char1", uuid, mood, bytes, ts, tz, tz3, date, span, addr, json, jsonb, ints, domain) VALUES
    (1, true, 1, 5, 9007199254740993, 1, 0.1, 0.1, 0.1, 0.10, 5, 0.1, 'b', 'Abc', 'b', 'ab', 'n', 'x', '00000000-0000-0000-0000-00000000000a', 'sad', '\\x00', '2020-01-01', '2020-01-01Z', '2020-01-01Z', '2020-01-01', '1 day', '10.0.0.1', '5', '5', '{1,2}', 1),
    (2, false, -1, -5, -9007199254740993, 4294967295, 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'NaN', 'B', 'abc', 'B', 'ab c', 'N', 'X', 'f0000000-0000-0000-0000-00000000000a', 'Happy', '\\xff00', 'infinity', 'infinity', 'infinity', 'infinity', '-1 mon', '::1', '"5"', '"5"', '{}', 2),
    (3, NULL, 0, 0, 5, 0, '-Infinity', '-Infinity', -1.50, -1.5, -9007199254740993, 123456789012345.1234567891, '', '', '', '', '', '', NULL, NULL, '', '-infinity', '-infinity', '-infinity', '-infinity', NULL, NULL, 'null', 'null', NULL, NULL),
    (4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (5, true, 5, 5, 9223372036854775807, 5, 'Infinity', 'Infinity', 1e30, 12345678.90, 1e25, -0.0000000001, E'a\\u0001', 'ABC', 'a ', E'ab\\t', 'é', 'z', 'abcdef01-2345-6789-abcd-ef0123456789', 'ok', '\\x0001', '0044-03-15 BC', '0044-03-15 12:00:00Z BC', '2020-01-01 00:00:00.5Z', '0044-03-15 BC', '00:00:01.5', '10.0.0.0/8', '{"a":5}', '{"a":5}', '{{1,2},{3,4}}', 5),
    (6, false, 10, 10, -9223372036854775808, 10, 3.4e38, 1.7976931348623157e308, 0.10000000000000000555, 0.30, 5, 5, '😀', 'a', '😀', 'a', 'ab', 'a', NULL, 'sad', '\\x01', '2020-01-01 00:00:00.123456', '2020-01-01 00:00:00.123456Z', NULL, '2020-01-02', '1 day', NULL, '[1]', '[1]', '{NULL}', 6),
    (7, true, 9, 9, 9, 9, 1e-45, 5e-324, 9007199254740993, 9, 10, 10.5, 'ｚ', 'b', 'ab', 'b', 'b', 'b', NULL, 'ok', '\\x02', '2020-01-01 00:00:00.12345', '2020-01-01 00:00:00.12345Z', NULL, '12020-01-02', NULL, NULL, 'true', 'true', '{5}', 7),
    (8, true, 9, 2147483647, 10, 10, 16777216, 9007199254740992, 1.5, 1.5, 1, 1.5, 'ab', 'ab', 'ab', 'ab', 'ab', 'a', NULL, 'ok', '\\x02ff', '2020-01-01 00:00:00.001', '1969-12-31 23:59:59.999Z', NULL, '1970-01-01', NULL, NULL, '1.5', '1.5', '{5}', 8),
    (9, true, 9, -2147483648, 11, 11, -0.0, -0.0, 5, 5, 5, 5.5, 'abc', 'aB', 'abc', 'abc', 'abc', 'a', NULL, 'ok', '\\x03', '12020-01-01 00:00:00.1', '12020-01-01 00:00:00.000001Z', NULL, '1970-01-01', NULL, NULL, '1e400', '1.5', '{5}', 9)`;

const VALUES: readonly Exclude<P2PValue, null | readonly P2PValue[]>[] = [
  ...[true, false, 0, -0, 1, 5, -5, 5.5, 0.1, -1.5, 9, 10, 1e300, -1e300, 1e-320, 1e25, 3.4e38, 2 ** 53, 2147483647],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2147483648, -2147483649, 2 ** 63],
  ...[5n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 63n, -(2n ** 63n), -(2n ** 64n), 10n ** 30n, 10n ** 400n],
  ...[
    "",
    "a",
    "b",
    "B",
    "abc",
    "ABC",
    "ab",
    "ab   ",
    "a\u0000",
    "a\u0001",
    "\u0000",
    "😀",
    "ｚ",
    "n",
    "x",
    "sad",
    "Happy",
    "no",
    "5",
  ],
  ...[
    "00000000-0000-0000-0000-00000000000a",
    "ABCDEF01-2345-6789-ABCD-EF0123456789",
    "1 day",
    "2020-01-01",
    "10.0.0.1",
  ],
  ...["infinity", "\\", '"', "{", "'", "$1", "x".repeat(300), "2020-01-01T00:00:00.123456Z", "0.10000000000000000555"],
  ...[new Date(0), new Date(Date.UTC(2020, 0, 1)), new Date(-1), new Date(8.64e15), new Date(-8.64e15)],
  ...[new Date(Date.UTC(2020, 0, 1, 0, 0, 0, 123))],
  ...[new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(0, 1), Uint8Array.of(255), Uint8Array.of(2)],
];

const ids = (records: readonly P2PRecord[]) => records.map(({ id }) => id);

function conditionsOn(field: string): QueryCondition[] {
  const list: QueryCondition[] = VALUES.flatMap((value) => {
    const operators = ["eq", "ne", "gt", "gte", "lt", "lte", ...(typeof value === "string" ? ["prefix"] : [])];
    return operators.map((operator) => ({ field, operator, value }) as QueryCondition);
  });
  list.push({ field, operator: "eq", value: null }, { field, operator: "ne", value: null });
  list.push({ field, operator: "exists", value: true }, { field, operator: "exists", value: false });
  for (const value of [[...VALUES, null], VALUES.slice(0, 9), []]) list.push({ field, operator: "in", value });
  return list;
}

/** Where the SQL of a condition finds other rows than it may. */
async function disagreements(
  store: PostgresqlStore,
  conditions: readonly QueryCondition[],
  all: readonly P2PRecord[],
): Promise<string[]> {
  const table = await store.requireTable(calm);
  const params = new Params();
  const dialect = { version: store.version, plain: store.endpoint.values === "plain" };
  const filters = conditions.map((condition) => translateWhere(table, [condition], dialect));
  const texts = filters.map(({ sql }) => (sql === undefined ? "TRUE" : `(${sql(params)}) IS TRUE`));
  const from = `${quote(table.schema)}.${quote(table.name)}`;
  const { rows } = await store.query("read", calm, `SELECT ${texts.join(", ")} FROM ${from} ORDER BY key`, params.list);
  return conditions.flatMap((condition, at) => {
    const found = ids(all.filter((_, n) => rows[n]![at] === "t"));
    const wanted = ids(all.filter((record) => matches([condition], record)));
    const isRight =
      filters[at]!.check === "none" ? found.join() === wanted.join() : wanted.every((id) => found.includes(id));
    const shown = encodeJson(condition as unknown as P2PObject).slice(0, 120);
    return isRight ? [] : [`${shown} (${filters[at]!.check}): ${found.join()} and not ${wanted.join()}`];
  });
}

async function agrees(service: P2PDataTransferService, query: P2PQuery, all: readonly P2PRecord[]): Promise<string[]> {
  const { conditions, orderBy } = parseQuery(query);
  const expected = all.filter((record) => matches(conditions, record));
  if (orderBy.length > 0) expected.sort((a, b) => compareRecords(orderBy, a, b));
  const shown = JSON.stringify(query, (_, value) => (typeof value === "bigint" ? `${value}n` : value));
  try {
    const found = ids(await readAll(service, query));
    return found.join() === ids(expected).join() ? [] : [`${shown}: ${found.join()} and not ${ids(expected).join()}`];
  } catch (error) {
    return [`${shown}: ${String(error)}`];
  }
}

describeWithService("postgresql", "conditions and orders on every type", (server) => {
  const scratch = new Scratch(server.url, "where");
  for (const values of ["exact", "plain"] as const) {
    describe(`values=${values}`, () => {
      let service: P2PDataTransferService;
      let all: P2PRecord[];
      let fields: string[];
      let store: PostgresqlStore;
      beforeAll(async () => {
        const schema = await scratch.schema(TABLE);
        const endpoint = parsePostgresqlEndpoint(schema.endpoint("everything", { values }), "source");
        store = await openStore(endpoint, { role: "source", signal: calm, connectTimeoutMs: 10_000 });
        service = await openEndpoint(schema.endpoint("everything", { values }));
        all = await readAll(service);
        fields = Object.keys(all[0]!).filter((field) => field !== "id");
        return async () => {
          await service.close();
          await store.close();
        };
      });

      it("says in SQL what `matches` says, or more where `matches` looks again, and never fails", async () => {
        expect(all).toHaveLength(9);
        const wrong: string[] = [];
        for (const field of ["id", ...fields]) wrong.push(...(await disagreements(store, conditionsOn(field), all)));
        expect(wrong).toEqual([]);
      });

      it("counts as it reads", async () => {
        for (const field of fields) {
          for (const where of [{ [field]: { exists: true } }, { [field]: 5 }, { [field]: { gt: "a" } }]) {
            expect([field, await service.count({ where }, calm)]).toEqual([
              field,
              (await readAll(service, { where })).length,
            ]);
          }
        }
      });

      it("sorts as `compareRecords` sorts, and goes on from everywhere", async () => {
        const wrong: string[] = [];
        for (const field of fields) {
          for (const direction of ["asc", "desc"] as const) {
            const query: P2PQuery = { orderBy: [{ field, direction }] };
            wrong.push(...(await agrees(service, query, all)));
            wrong.push(...(await agrees(service, { orderBy: [{ field: "must" }, { field, direction }] }, all)));
            const batches = await readBatches(service, query, { batchSize: 2 });
            const expected = ids(batches.flatMap(({ records }) => records));
            for (const [at, { cursor }] of batches.entries()) {
              const after = JSON.parse(JSON.stringify(cursor));
              const rest = ids(await readAll(service, query, { after }));
              const wanted = expected.slice(2 * (at + 1));
              if (rest.join() !== wanted.join()) wrong.push(`${field} ${direction} after ${at}: ${rest} not ${wanted}`);
            }
          }
        }
        expect(wrong).toEqual([]);
      }, 60_000);
    });
  }
});
