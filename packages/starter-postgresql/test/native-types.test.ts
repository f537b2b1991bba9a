import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { encodeJson, type P2PValue, recordTrouble, TaggedValue, valueType } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { tableRows } from "@omni/p2p-testkit";
import fc from "fast-check";
import { expect, it } from "vitest";
import { literal } from "../src/client/sql.ts";
import type { PostgresqlStore } from "../src/client/store.ts";
import type { Column } from "../src/client/table.ts";
import { postgresqlStarter } from "../src/index.ts";
import { baseOf, decoderOf } from "../src/values/decode.ts";
import { encodeCell } from "../src/values/encode.ts";
import { calm, cleanUp, Scratch } from "./support.ts";

/** Types that the server does not come with. */
const MADE = `
  CREATE TYPE mood AS ENUM ('sad', 'so so', 'o"k,', 'NULL');
  CREATE DOMAIN amount AS numeric(10, 2) CHECK (VALUE >= 0);
  CREATE DOMAIN fair_amount AS amount NOT NULL;
  CREATE DOMAIN marks AS int[] CHECK (cardinality(VALUE) < 10);
  CREATE DOMAIN note AS jsonb;
  CREATE TYPE pair AS (a int, b text);
  CREATE TYPE name AS (first text, last text);
  CREATE TYPE float8range2 AS RANGE (subtype = float8, multirange_type_name = float8multi);
`;

/** What each type takes, as a person might write it; the server's own text of it must come back letter by letter. */
const SAMPLES: readonly (readonly [type: string, ...texts: string[]])[] = [
  ["boolean", "t", "f"],
  ["smallint", "-32768", "32767", "0"],
  ["integer", "-2147483648", "2147483647"],
  ["bigint", "-9223372036854775808", "9223372036854775807", "9007199254740993", "5"],
  [
    "numeric",
    "0",
    "1.50",
    "-0.00",
    "1e300",
    "NaN",
    "Infinity",
    "-Infinity",
    "9007199254740992",
    "0.1",
    "1e-20",
    "1e21",
    "-12345678901234567890.123456789",
    `1${"0".repeat(30_000)}`,
  ],
  ["numeric(10,2)", "1.5", "1.00", "-99999999.99", "NaN", "0"],
  ["numeric(30,10)", "12345678901234567890.1234567891", "0.5"],
  ["numeric(5,-2)", "12345", "0"],
  ["numeric(3,5)", "0.00123"],
  ["real", "1.1", "3.4028235e38", "1e-45", "NaN", "-Infinity", "-0", "16777216"],
  ["double precision", "0.1", "1e300", "5e-324", "NaN", "Infinity", "-0", "1e15", "123456789012345680"],
  ["text", "", "NULL", "null", " a\tb\nc\\d ", '"quoted"', "{}", "长𝒜\u0001"],
  ["varchar(5)", "abc", "ab   "],
  ["char(5)", "abc", ""],
  ["bpchar", "abc  "],
  ['"char"', "a", ""],
  ["pg_catalog.name", "abc", "x".repeat(63)],
  ["bytea", "\\x", "\\x00ff10", "\\x5c"],
  ["uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
  [
    "json",
    "null",
    "1.5",
    "true",
    '{"a":1,"b":[1.5,null]}',
    '"x"',
    "12345678901234567890",
    '{"a":1,"a":2}',
    "1e400",
    '{"$p2p":"date","value":"no date"}',
    '"\\u0000"',
    "[]",
  ],
  [
    "jsonb",
    "null",
    "1.5",
    '{"a": 1, "b": [1.5, null, "é"]}',
    '"x"',
    "12345678901234567890",
    "0.12345678901234567890123",
    "1e300",
    "1e400",
    "-0",
    '{"$p2p":"date","value":"no date"}',
    '{"$p2p":"number","value":"NaN"}',
    '{"": {"__proto__": 1}}',
    "[]",
    "{}",
    "false",
    `${"[".repeat(300)}${"]".repeat(300)}`,
  ],
  [
    "timestamptz",
    "2024-01-02 03:04:05.678901+00",
    "2024-01-02 03:04:05.678+02",
    "2024-01-02 03:04:05.1+00",
    "0044-03-15 12:00:00+00 BC",
    "0001-12-31 23:59:59.999999+00 BC",
    "infinity",
    "-infinity",
    "4713-01-01 00:00:00+00 BC",
    "294276-12-31 23:59:59.999999+00",
    "275760-09-13 00:00:00+00",
    "10000-01-01 00:00:00+00",
    "0050-01-01 00:00:00+00",
  ],
  ["timestamptz(3)", "2024-01-02 03:04:05.678+00"],
  ["timestamptz(0)", "2024-01-02 03:04:05+00"],
  [
    "timestamp",
    "2024-01-02 03:04:05.678901",
    "2024-01-02 03:04:05",
    "0044-03-15 12:00:00 BC",
    "infinity",
    "-infinity",
    "294276-12-31 23:59:59.999999",
    "12024-02-29 03:04:05.5",
  ],
  ["date", "2024-02-29", "0044-03-15 BC", "infinity", "-infinity", "5874897-12-31", "4713-01-01 BC"],
  ["time", "00:00:00", "24:00:00", "12:34:56.789012"],
  ["time(0)", "12:34:56"],
  ["timetz", "12:34:56.789012+05:30", "24:00:00-15:59", "00:00:00+00"],
  [
    "interval",
    "1 year 2 mons 3 days 04:05:06.789",
    "-1 year +2 mons -3 days +04:05:06.5",
    "0",
    "-00:00:00.000001",
    "1 day -00:00:01",
    "178000000 years",
    "-178000000 years",
    "100000:00:00",
    "1 mon -1 day",
  ],
  ["interval year to month", "1 year 2 mons"],
  ["interval(0)", "1 day 00:00:01"],
  ["inet", "10.0.0.1", "10.0.0.1/24", "::1", "fe80::1/64", "::ffff:1.2.3.4"],
  ["cidr", "10.0.0.0/8", "2001:db8::/32", "10.0.0.1/32"],
  ["macaddr", "08:00:2b:01:02:03"],
  ["macaddr8", "08:00:2b:01:02:03:04:05"],
  ["bit(5)", "10101"],
  ["bit varying", "", "1010"],
  ["bit varying(3)", "101"],
  ["money", "$1,234,567.89", "-5", "92233720368547758.07"],
  ["point", "(1.5,-2)"],
  ["line", "{1,2,3}"],
  ["lseg", "[(1,2),(3,4)]"],
  ["box", "(3,4),(1,2)"],
  ["path", "((1,2),(3,4))", "[(1,2)]"],
  ["polygon", "((1,2),(3,4),(5,6))"],
  ["circle", "<(1,2),3>"],
  ["tsvector", "'a':1A 'fat':2,4B 'it''s'"],
  ["tsquery", "'fat' & ( 'rat' | !'cat' ) & 'x' <-> 'y':*"],
  ["xml", '<a b="1">x</a>', "plain", '<?xml version="1.1"?><a/>'],
  ["pg_lsn", "16/B374D848"],
  ["oid", "4294967295"],
  ["regclass", "pg_class"],
  ["regtype", "integer"],
  ["xid", "5"],
  ["tid", "(0,1)"],
  ["txid_snapshot", "10:20:10,14"],
  ["int4range", "empty", "[1,5)", "(,5)", "[1,)", "(,)"],
  ["numrange", "[1.50,2]", "(0,Infinity]"],
  ["tstzrange", '["2024-01-01 00:00:00+00","2024-01-02 00:00:00+00")', "[-infinity,infinity]"],
  ["daterange", "[2024-01-01,2024-02-01)"],
  ["int8multirange", "{}", "{[1,3),[5,)}"],
  ["float8range2", "[1.5,2)"],
  ["float8multi", "{[1.5,2)}"],
  ["int[]", "{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={1,2}", "[2:2][3:3]={{7}}", "{{{1}}}"],
  ["bigint[]", "{9223372036854775807,5}"],
  ["numeric(10,2)[]", "{1.50,NULL,NaN}"],
  ["text[]", '{NULL,"NULL","null","",a,"a b","a,b","{}","\\"","\\\\",é}', '{{a,b},{NULL,"x y"}}'],
  ["char(3)[]", "{a,bc}"],
  ["boolean[]", "{t,f,NULL}"],
  ["bytea[]", '{"\\\\x00ff",NULL}'],
  ["timestamptz[]", '{"2024-01-02 03:04:05+00","2024-01-02 03:04:05.678901+00",infinity}'],
  ["jsonb[]", '{"null",NULL,"[1, 2]","{\\"a\\": \\"x,y\\"}"}', '{{"1","[2]"}}', '{"[]"}', "{}"],
  ["json[]", '{"[1,2]"}'],
  ["box[]", "{(3,4),(1,2);(5,6),(0,0)}"],
  ["point[]", '{"(1,2)"}'],
  ["int4range[]", '{"[1,5)",empty}'],
  ["mood", "sad", 'o"k,', "NULL"],
  ["mood[]", '{sad,"o\\"k,","NULL",NULL}'],
  ["amount", "1.50"],
  ["fair_amount", "1.00"],
  ["amount[]", "{1.50,2.25}"],
  ["marks", "{1,2}", "{}"],
  ["marks[]", '{"{1,2}",NULL,"{}"}'],
  ["note", "null", '{"a": 1}'],
  ["pair", "(1,x)", '(,"a ""b"", c")', "(,)"],
  ["pair[]", '{"(1,x)",NULL}'],
  ["name", "(a,b)"],
];

function tag(name: string, text: string): TaggedValue {
  return new TaggedValue(`postgresql:${name}`, text);
}

/** Types that come with an extension, which a server need not have. */
const EXTENSIONS: readonly string[] = ["citext", "vector", "hstore"];

/** What each type refuses, since the server would cut it, round it, or take it for something else. */
const REFUSED: readonly (readonly [type: string, ...values: P2PValue[]])[] = [
  ["integer", 1.5, 2 ** 31, 2n ** 31n, -0, Number.NaN, "007", "1.0", "abc", true, [1]],
  ["bigint", 2 ** 63, 2n ** 63n, "9223372036854775808", "1e3"],
  ["boolean", 1, "t", "true"],
  ["numeric(5,2)", 1.005, "1.005", -0, Number.POSITIVE_INFINITY, tag("numeric", "1.005"), tag("money", "$1.00")],
  ["numeric", "1e3", "NaN", " 1", "-0.0", [1]],
  ["real", 0.123456789012, 1e39, 2n ** 63n - 1n, "0.10"],
  ["double precision", 2n ** 63n - 1n, 10n ** 400n, "0.10", "abc"],
  ["text", "\0", tag("numeric", "1.50"), new TaggedValue("mongodb:objectId", "6f"), Uint8Array.of(1)],
  ["varchar(3)", "abc "],
  ["char(3)", "abc "],
  ['"char"', "ab", "é", "长"],
  ["pg_catalog.name", "x".repeat(64)],
  ["bytea", "abc", "\\x00", [1]],
  ["jsonb", "\0", { a: ["\0"] }, { "\0": 1 }],
  [
    "date",
    new Date(1),
    "2024-01-02 03:00",
    "2024-01-02T00:00:01Z",
    "2024-01-02T00:00:00+02:00",
    "today",
    tag("timestamptz", "infinity"),
    5,
  ],
  ["time", "12:00:00+02", "2024-01-02 12:00:00", "12:00:00.1234567", "now", new Date(0), "12:00:00Z"],
  ["time(0)", "12:00:00.5", tag("time", "12:00:00.5")],
  ["timetz", "12:00:00.1234567+02"],
  [
    "timestamp",
    "2024-01-02T12:00:00+02:00",
    "2024-01-02 12:00:00 America/New_York",
    "2024-01-02 12:00:00.1234567",
    "yesterday",
  ],
  ["timestamptz", "2024-01-02T12:00:00.1234567Z", "now", new Date(-8e15), 0],
  ["timestamptz(0)", new Date(1), "2024-01-02T12:00:00.5Z", tag("timestamptz", "2024-01-02T12:00:00.000001Z")],
  ["timestamptz(2)", new Date(11)],
  ["interval", "PT1.1234567S", 5],
  ["interval(0)", tag("interval", "PT1.5S")],
  ["interval year to month", tag("interval", "P1D"), "PT1S", "1 day"],
  ["money", "$1.005", 1.5],
  ["int[]", [1.5], ["a"], [[1], []], [[]], [new Date(0)]],
  ["timestamptz(0)[]", [new Date(1)]],
  ["int4range", tag("int8range", "[1,5)"), 5],
  ["uuid", 5, true, new Date(0)],
];

/** What each type takes, with the text that the server has of it then. */
const TAKEN: readonly (readonly [type: string, ...pairs: (readonly [value: P2PValue, text: string])[]])[] = [
  ["integer", ["12", "12"], [12n, "12"], [0, "0"]],
  [
    "bigint",
    [2n ** 62n, "4611686018427387904"],
    ["-9223372036854775808", "-9223372036854775808"],
    [2 ** 53, "9007199254740992"],
  ],
  ["numeric(5,2)", [1.25, "1.25"], ["1.5", "1.50"], [1e2, "100.00"], [7n, "7.00"]],
  ["numeric", [1e-7, "0.0000001"], [1e21, "1000000000000000000000"], ["1.50", "1.50"]],
  ["real", [0.1, "0.1"], [Math.fround(0.1), "0.1"], [16777216, "1.6777216e+07"], [1.1754944e-38, "1.1754944e-38"]],
  ["double precision", [2n ** 60n, "1.152921504606847e+18"], ["0.1", "0.1"]],
  [
    "text",
    [5, "5"],
    [-0, "-0"],
    [true, "true"],
    [7n, "7"],
    [new Date(0), "1970-01-01T00:00:00.000Z"],
    [{ a: [1] }, '{"a":[1]}'],
  ],
  ["json", [[2n ** 64n, -0], "[18446744073709551616,-0]"], ["\0", '"\\u0000"']],
  ["jsonb", [{ n: 2n ** 64n }, '{"n": 18446744073709551616}']],
  [
    "date",
    [new Date(0), "1970-01-01"],
    ["2024-01-02", "2024-01-02"],
    ["2024-01-02T00:00:00.000Z", "2024-01-02"],
    [new Date(Date.UTC(-43, 2, 15)), "0044-03-15 BC"],
  ],
  ["time", ["12:00", "12:00:00"], ["01:00 PM", "13:00:00"]],
  ["timestamp", ["2024-01-02T12:00:00Z", "2024-01-02 12:00:00"], [new Date(1), "1970-01-01 00:00:00.001"]],
  [
    "timestamptz",
    ["2024-01-02T12:00:00+02:00", "2024-01-02 10:00:00+00"],
    [new Date(8.64e15), "275760-09-13 00:00:00+00"],
  ],
  [
    "timestamptz(1)",
    [new Date(100), "1970-01-01 00:00:00.1+00"],
    ["2024-01-02T12:00:00.50Z", "2024-01-02 12:00:00.5+00"],
  ],
  ["interval", ["1 day 1.5 hours", "P1DT1H30M"]],
  ["interval year to month", [tag("interval", "P1Y2M"), "P1Y2M"], [tag("interval", "PT0S"), "PT0S"]],
  ["text[]", [["a", null, 'b"\\', ""], '{a,NULL,"b\\"\\\\",""}'], [[5], "{5}"]],
  ["jsonb[]", [[[1], { a: 2 }, null, "x"], '{[1],"{\\"a\\": 2}",NULL,"\\"x\\""}']],
  ["marks[]", [[[1, 2], []], '{"{1,2}","{}"}']],
  ["citext", ["Abc", "Abc"]],
  ["vector", [[1, 0.1, Math.fround(0.3)], "[1,0.1,0.3]"]],
  ["hstore", [tag("hstore", '"a"=>"1", "b"=>NULL'), '"a"=>"1", "b"=>NULL']],
];

const digits = (most: number) => fc.stringMatching(new RegExp(`^\\d{1,${most}}$`));
const moment = fc
  .tuple(fc.integer({ min: -4712, max: 290_000 }), fc.nat(364 * 86_400 - 1), fc.nat(999_999))
  .filter(([year]) => year !== 0)
  .map(([year, second, micros]) => {
    const date = new Date(Date.UTC(2001, 0, 1) + second * 1000).toISOString();
    const text = `${String(Math.abs(year)).padStart(4, "0")}${date.slice(4, 10)} ${date.slice(11, 19)}.${String(micros).padStart(6, "0")}`;
    return `${text}${year < 0 ? " BC" : ""}`;
  });
const part = fc.integer({ min: -5000, max: 5000 });
const span = fc
  .tuple(part, part, part, part, part, fc.integer({ min: -5_000_000, max: 5_000_000 }))
  .map(
    ([years, months, days, hours, minutes, millis]) =>
      `${years} years ${months} months ${days} days ${hours} hours ${minutes} minutes ${millis / 1000} seconds`,
  );
const anyText = fc.string({
  unit: fc.constantFrom("a", '"', "\\", ",", "{", "}", " ", "NULL", "é", "\n", "'", "null", ""),
});
const quotedItem = anyText.map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`);

/** Texts of any value of a type. */
const ANY: Readonly<Record<string, fc.Arbitrary<string>>> = {
  numeric: fc.tuple(fc.constantFrom("", "-"), digits(25), digits(25)).map(([sign, a, b]) => `${sign}${a}.${b}`),
  "numeric(30,10)": fc
    .tuple(fc.constantFrom("", "-"), digits(20), digits(10))
    .map(([sign, a, b]) => `${sign}${a}.${b}`),
  bigint: fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map(String),
  real: fc.float().map((value) => String(value)),
  "double precision": fc.double().map((value) => String(value)),
  timestamptz: moment,
  timestamp: moment,
  date: moment.map((text) => text.replace(/ \d\d:.*?(?= BC|$)/, "")),
  interval: span,
  "text[]": fc
    .array(fc.oneof(quotedItem, fc.constant("NULL")), { maxLength: 5 })
    .map((items) => `{${items.join(",")}}`),
  "int[]": fc
    .array(fc.array(fc.integer(), { minLength: 2, maxLength: 2 }), { maxLength: 3 })
    .map((rows) => `{${rows.map((row) => `{${row.join(",")}}`).join(",")}}`),
  jsonb: fc.json(),
  json: fc.jsonValue().map((value) => JSON.stringify(value)),
  "jsonb[]": fc
    .array(fc.json(), { maxLength: 3 })
    .map((items) => `{${items.map((item) => `"${item.replace(/["\\]/g, "\\$&")}"`).join(",")}}`),
  bytea: fc.uint8Array({ maxLength: 20 }).map((bytes) => `\\x${Buffer.from(bytes).toString("hex")}`),
  int8range: fc.tuple(fc.bigInt(-1000n, 0n), fc.bigInt(0n, 1000n)).map(([a, b]) => `[${a},${b}]`),
  inet: fc.oneof(fc.ipV4(), fc.ipV6()),
};

/** Kinds of value, as the README calls them. */
const KINDS = /\b(?:boolean|number|bigint|string|bytes|date|array|object|tag)\b/g;

/** What the README's table calls the type of a column. */
function nameInReadme({ declared, type }: Column): string {
  const { kind } = baseOf(type);
  if (kind === "array") return "arrays";
  if (kind === "enum") return "enumerations";
  if (kind === "composite") return "composite types";
  if (kind === "range" || kind === "multirange") return `${kind}s`;
  const name = type.kind === "domain" ? baseOf(type).name : declared.replace(/\(.*?\)| year to month/g, "");
  return `\`${LONG_NAMES[name] ?? name}\``;
}

const LONG_NAMES: Readonly<Record<string, string>> = {
  "character varying": "varchar",
  character: "char",
  "timestamp with time zone": "timestamptz",
  "timestamp without time zone": "timestamp",
  "time with time zone": "timetz",
  "time without time zone": "time",
};

describeWithService("postgresql", "native types", ({ url }) => {
  const scratch = new Scratch(url, "types");

  /** A table with one column of each type, `c0`, `c1`, …, and the store that sees it. */
  const tableWith = async (types: readonly string[]) => {
    const schema = await scratch.schema(MADE);
    const columns = types.map((type, n) => `c${n} ${type}`);
    await schema.sql(`CREATE TABLE t (id int PRIMARY KEY, ${columns.join(", ")})`);
    const store = await schema.store("t");
    const table = (await store.table(calm))!;
    return { schema, store, columns: table.columns.slice(1) };
  };

  /** The server's texts of texts, in the settings of the starter. */
  const texts = async (store: PostgresqlStore, { declared }: Column, cells: readonly string[]) => {
    const values = cells.map((_, n) => `($${n + 1}::${declared})`).join(", ");
    const { rows } = await store.query("read", calm, `SELECT * FROM (VALUES ${values}) AS v`, cells);
    return rows.map(([cell]) => cell!);
  };

  /** Whether there is an extension, which is put where all schemas find it. */
  const hasExtension = async (name: string) => {
    const found = await scratch.sql(`SELECT 1 FROM pg_available_extensions WHERE name = '${name}'`);
    if (found.length > 0) await scratch.sql(`CREATE EXTENSION IF NOT EXISTS ${name} SCHEMA public`);
    return found.length > 0;
  };

  for (const [type, ...values] of REFUSED) {
    it(`refuses in ${type} what the server would change in silence`, async () => {
      const { columns } = await tableWith([type]);
      for (const value of values) {
        let cell: unknown;
        try {
          cell = encodeCell(columns[0]!, value);
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/^(?:TYPE_MISMATCH|INVALID_RECORD)$/) });
          expect((error as Error).message).toContain('"c0"');
          continue;
        }
        expect.unreachable(`${encodeJson(value)} became ${String(cell)}`);
      }
    });
  }

  for (const [type, ...pairs] of TAKEN) {
    it(`takes in ${type} what says the same`, async () => {
      if (EXTENSIONS.includes(type) && !(await hasExtension(type))) {
        return console.info(`skipped ${type}: the server has no such extension`);
      }
      const { store, columns } = await tableWith([type]);
      const cells = pairs.map(([value]) => encodeCell(columns[0]!, value)!);
      expect(await texts(store, columns[0]!, cells)).toEqual(pairs.map(([, text]) => text));
    });
  }

  it("gives back every text of every type letter by letter", async () => {
    const { store, columns } = await tableWith(SAMPLES.map(([type]) => type));
    const lost: string[] = [];
    for (const [n, [type, ...given]] of SAMPLES.entries()) {
      const column = columns[n]!;
      const written = await texts(store, column, given);
      const decode = decoderOf(column, { plain: false });
      for (const text of written) {
        const value = decode(text);
        const trouble = recordTrouble({ id: 1, value });
        const back = await texts(store, column, [encodeCell(column, value)!]).catch(String);
        if (trouble !== undefined || back[0] !== text) lost.push(`${type} ${text.slice(0, 80)}: ${trouble ?? back}`);
      }
    }
    expect(lost).toEqual([]);
  });

  it("gives back what the server makes of any text", async () => {
    const { store, columns } = await tableWith(Object.keys(ANY));
    for (const [n, [type, arbitrary]] of Object.entries(ANY).entries()) {
      const column = columns[n]!;
      const decode = decoderOf(column, { plain: false });
      const given = fc.sample(arbitrary, 400);
      const written = await texts(store, column, given);
      const back = await texts(
        store,
        column,
        written.map((text) => encodeCell(column, decode(text))!),
      );
      for (const [at, text] of written.entries()) expect(back[at], `${type} ${given[at]}`).toBe(text);
    }
  });

  it("takes in real exactly what comes back", async () => {
    const { store, columns } = await tableWith(["real"]);
    const floats = fc.sample(
      fc.oneof(fc.float({ noNaN: true }), fc.float({ min: 1e6, max: 1e7, noNaN: true }).map(Math.fround)),
      5000,
    );
    floats.push(...Array.from({ length: 250 }, (_, n) => 2 ** (n - 149)).filter((power) => power < 2 ** 128));
    // Ties: halves and quarters with as many digits before the point as a float has room for.
    floats.push(...Array.from({ length: 2000 }, (_, n) => 2 ** 21 + n * 811.25 + 0.25));
    const written = await texts(store, columns[0]!, floats.map(String));
    for (const text of written) expect(encodeCell(columns[0]!, Number(text)), text).toBeTypeOf("string");
    const others = fc
      .sample(fc.tuple(fc.integer({ min: 1e6, max: 99_999_999 }), fc.integer({ min: -12, max: 3 })), 3000)
      .map(([a, b]) => Number(`${a}e${b}`));
    const taken = others.filter((value) => {
      try {
        return encodeCell(columns[0]!, value) !== null;
      } catch {
        return false;
      }
    });
    expect(taken.length).toBeGreaterThan(100);
    const back = await texts(store, columns[0]!, taken.map(String));
    // A number that is a float to the last bit is written with fewer digits.
    for (const [at, value] of taken.entries()) {
      if (Math.fround(value) !== value) expect(Number(back[at]), String(value)).toBe(value);
    }
  });

  it("gives no tags where values are to be plain", async () => {
    const { store, columns } = await tableWith(SAMPLES.map(([type]) => type));
    for (const [n, [type, ...given]] of SAMPLES.entries()) {
      const decode = decoderOf(columns[n]!, { plain: true });
      for (const text of await texts(store, columns[n]!, given)) {
        const value = decode(text);
        // Tags that stand in a JSON document are what somebody has written there.
        if (!text.includes("$p2p")) expect(encodeJson(value), type).not.toContain("postgresql:");
        expect(recordTrouble({ id: 1, value }), type).toBeUndefined();
      }
    }
    const [numeric, jsonb] = [columns[4]!, columns[SAMPLES.findIndex(([type]) => type === "jsonb")]!];
    expect(decoderOf(numeric, { plain: true })("1.50")).toBe("1.50");
    expect(decoderOf(jsonb, { plain: true })("null")).toBeNull();
    expect(decoderOf(jsonb, { plain: true })('{"n": 0.12345678901234567890123}')).toEqual({
      n: "0.12345678901234567890123",
    });
  });

  it("are what the README's table says that they come as", async () => {
    const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");
    const { store, columns } = await tableWith(SAMPLES.map(([type]) => type));
    const found = new Map<string, Set<string>>();
    for (const [n, [, ...given]] of SAMPLES.entries()) {
      const column = columns[n]!;
      const decode = decoderOf(column, { plain: false });
      const kinds = found.get(nameInReadme(column)) ?? new Set();
      found.set(nameInReadme(column), kinds);
      for (const text of await texts(store, column, given)) kinds.add(valueType(decode(text)));
    }
    const told = new Map<string, string[]>();
    for (const [types, kinds] of tableRows(readme, "type")) {
      const names = types!.split(/, | and their like/).filter((name) => name !== "");
      for (const name of names)
        told.set(
          name,
          (kinds!.match(KINDS) ?? []).map((kind) => (kind === "tag" ? "tagged" : kind)),
        );
    }
    for (const name of [...EXTENSIONS.map((one) => `\`${one}\``), "domains"]) told.delete(name);
    expect([...told.keys()].sort()).toEqual([...found.keys()].sort());
    for (const [name, kinds] of found) expect([...new Set(told.get(name))].sort(), name).toEqual([...kinds].sort());
  });

  it("copies a table of all types to one that is made like it, cell by cell", async () => {
    const types = SAMPLES.map(([type]) => type);
    const { schema, columns } = await tableWith(types);
    const most = Math.max(...SAMPLES.map((sample) => sample.length - 1));
    for (let row = 0; row < most; row++) {
      const given = SAMPLES.map(([, ...texts], n) => {
        const text = texts[row % texts.length]!;
        return `${literal(text)}::${columns[n]!.declared}`;
      });
      await schema.sql(`INSERT INTO t VALUES (${row}, ${given.join(", ")})`);
    }
    const copy = await scratch.schema();
    const manager = new DefaultP2PConnectionManager();
    cleanUp(() => manager[Symbol.asyncDispose]());
    manager.registerService("postgresql", postgresqlStarter);
    const { connectionId } = await manager.establish(schema.endpoint("t"), copy.endpoint("t"));
    // The first time all rows are new, and the second time all are there: they are written in other ways.
    for (let time = 0; time < 2; time++) {
      const { successCount, failureCount } = await manager.transferThroughConnection(connectionId, {});
      expect([successCount, failureCount]).toEqual([most, 0]);
      if (time === 0) await scratch.sql(`UPDATE ${copy.name}.t SET c2 = 0, c3 = NULL`);
    }
    const declared = (name: string) =>
      scratch.sql(
        `SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = '${name}.t'::regclass AND attnum > 0`,
      );
    expect(await declared(copy.name)).toEqual(await declared(schema.name));
    const cells = (name: string) =>
      scratch.sql(`SELECT ${columns.map(({ name: c }) => `${c}::text`).join(", ")} FROM ${name}.t ORDER BY id`);
    const [before, after] = [await cells(schema.name), await cells(copy.name)];
    for (const [row, one] of before.entries()) {
      for (const [n, cell] of one.entries()) expect(after[row]![n], `${types[n]} in row ${row}`).toBe(cell);
    }
  });
});
