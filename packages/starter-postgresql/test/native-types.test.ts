import { recordTrouble } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import type { PostgresqlStore } from "../src/client/store.ts";
import type { Column } from "../src/client/table.ts";
import { decoderOf } from "../src/values/decode.ts";
import { encodeCell } from "../src/values/encode.ts";
import { calm, Scratch } from "./support.ts";

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
  ["regclass", "pg_class", "-"],
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

describeWithService("postgresql", "native types", ({ url }) => {
  const scratch = new Scratch(url, "types");

  /** A table with one column of each type, `c0`, `c1`, …, and the store that sees it. */
  const tableWith = async (types: readonly string[]) => {
    const schema = await scratch.schema(MADE);
    const columns = types.map((type, n) => `c${n} ${type}`);
    await schema.sql(`CREATE TABLE t (id int PRIMARY KEY, ${columns.join(", ")})`);
    const store = await schema.store("t");
    const table = (await store.table(calm))!;
    return { store, columns: table.columns.slice(1) };
  };

  /** The server's texts of texts, in the settings of the starter. */
  const texts = async (store: PostgresqlStore, { declared }: Column, cells: readonly string[]) => {
    const values = cells.map((_, n) => `($${n + 1}::${declared})`).join(", ");
    const { rows } = await store.query("read", calm, `SELECT * FROM (VALUES ${values}) AS v`, cells);
    return rows.map(([cell]) => cell!);
  };

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
});
