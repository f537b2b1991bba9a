/** The catalogue: what the server itself says of tables, columns and types, in one round trip. */
import { P2PError } from "@omni/p2p-core/starter";
import type { TableName } from "../endpoint.ts";
import { SIDECAR, SIDECAR_MARK } from "../types.ts";
import type { Answer, Cell } from "./session.ts";
import { literal, qualified, quote } from "./sql.ts";
import type { Column, ColumnType, KeyColumn, Table, TableKey } from "./table.ts";

/** Asks the server something. */
export type Ask = (text: string, params: readonly Cell[]) => Promise<Answer>;

/** Kinds of relation that have rows to read. */
export const KINDS = "'r','p','v','m','f'";

/**
 * Types with all that they are made of, as JSON, from the oids that a query gives as column `oid`. Rows of the catalogue come
 * whole, since versions differ in their columns.
 */
function typesSql(oids: string): string {
  return `(WITH RECURSIVE used(oid) AS (
      ${oids}
      UNION
      SELECT part.oid FROM used
        JOIN pg_catalog.pg_type y ON y.oid = used.oid
        CROSS JOIN LATERAL (VALUES (y.typbasetype), (CASE WHEN y.typinput = 'pg_catalog.array_in'::pg_catalog.regproc THEN y.typelem ELSE 0 END)) AS part(oid)
        WHERE part.oid <> 0
    )
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'oid', y.oid::pg_catalog.int8, 'schema', s.nspname, 'name', y.typname, 'type', y.typtype, 'delimiter', y.typdelim,
      'isArray', y.typinput = 'pg_catalog.array_in'::pg_catalog.regproc,
      'element', y.typelem::pg_catalog.int8, 'base', y.typbasetype::pg_catalog.int8, 'typmod', y.typtypmod
    )) FROM used JOIN pg_catalog.pg_type y ON y.oid = used.oid JOIN pg_catalog.pg_namespace s ON s.oid = y.typnamespace)`;
}

/** What changes whenever a column or an index of a table does: the versions of their rows in the catalogue. Of `c` in pg_class. */
const STATE = `pg_catalog.concat_ws(' ', c.oid, c.relkind,
  (SELECT pg_catalog.string_agg(pg_catalog.concat(a.attnum, ':', a.xmin), ',' ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
  (SELECT pg_catalog.string_agg(pg_catalog.concat(i.indexrelid, ':', i.xmin), ',' ORDER BY i.indexrelid)
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid))`;

/**
 * A table as JSON, of `c` in pg_class and `n` in pg_namespace. Sizes come from the statistics: to measure a table, the server would wait for
 * whoever has locked it.
 */
const TABLE_JSON = `pg_catalog.json_build_object(
  'oid', c.oid::pg_catalog.int8, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'state', ${STATE},
  'size', (WITH RECURSIVE parts(oid) AS (
      SELECT c.oid UNION ALL SELECT h.inhrelid FROM parts JOIN pg_catalog.pg_inherits h ON h.inhparent = parts.oid WHERE c.relkind = 'p')
    SELECT pg_catalog.json_build_object(
      'rows', pg_catalog.sum(CASE WHEN l.reltuples >= 0 THEN l.reltuples ELSE nullif(pg_catalog.pg_stat_get_live_tuples(l.oid), 0) END),
      'bytes', pg_catalog.sum(CASE WHEN l.relpages > 0 THEN l.relpages::pg_catalog.int8 * pg_catalog.current_setting('block_size')::pg_catalog.int8 END))
    FROM parts JOIN pg_catalog.pg_class l ON l.oid = parts.oid WHERE l.relkind IN ('r', 'm', 'f')),
  'triggers', EXISTS (SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled <> 'D')
    OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w WHERE w.ev_class = c.oid AND w.ev_type <> '1'),
  'plainVersion', CASE WHEN c.relkind = 'r' AND NOT c.relhastriggers AND NOT c.relhasrules THEN c.xmin::pg_catalog.text END,
  'rowSecurity', pg_catalog.row_security_active(c.oid),
  'sidecar', (SELECT pg_catalog.json_build_object('comment', pg_catalog.col_description(c.oid, s.attnum),
      'readable', pg_catalog.has_column_privilege(c.oid, s.attnum, 'SELECT'))
    FROM pg_catalog.pg_attribute s WHERE s.attrelid = c.oid AND s.attname = ${literal(SIDECAR)} AND NOT s.attisdropped),
  'database', (SELECT pg_catalog.row_to_json(d) FROM (SELECT b.datcollate, pg_catalog.to_json(b) ->> 'datlocprovider' AS provider,
      coalesce(pg_catalog.to_json(b) ->> 'datlocale', pg_catalog.to_json(b) ->> 'daticulocale') AS locale
    FROM pg_catalog.pg_database b WHERE b.datname = pg_catalog.current_database()) d),
  'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'number', a.attnum, 'name', a.attname, 'type', a.atttypid::pg_catalog.int8, 'typmod', a.atttypmod,
      'declared', pg_catalog.format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull, 'generated', a.attgenerated,
      'identity', a.attidentity, 'default', CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(f.adbin, f.adrelid) END,
      'collation', CASE WHEN l.oid IS NOT NULL THEN pg_catalog.json_build_object('schema', ls.nspname, 'name', l.collname,
        'collate', l.collcollate, 'provider', l.collprovider, 'default', l.oid = 100) END
    ) ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a
      LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
      LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
      LEFT JOIN pg_catalog.pg_namespace ls ON ls.oid = l.collnamespace
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'types', ${typesSql("SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped")},
  'indexes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
      'primary', i.indisprimary, 'immediate', i.indimmediate,
      'constraint', EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u')),
      'columns', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('number', p.number, 'options', p.options) ORDER BY p.place)
        FROM unnest(i.indkey::pg_catalog.int2[], i.indoption::pg_catalog.int2[]) WITH ORDINALITY AS p(number, options, place)
        WHERE p.place <= i.indnkeyatts)
    ) ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid)
    FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL)
)`;

/** The table of a name, by name and schema. */
const NAMED = `FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN (${KINDS})
  AND c.relname IN ($1::pg_catalog.text, pg_catalog.lower($1::pg_catalog.text))
  AND CASE WHEN $2::pg_catalog.text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid)
    ELSE n.nspname IN ($2::pg_catalog.text, pg_catalog.lower($2::pg_catalog.text)) END
ORDER BY (c.relname = $1::pg_catalog.text) DESC, (n.nspname = $2::pg_catalog.text) DESC NULLS LAST
LIMIT 1`;

const TABLE_SQL = `SELECT ${TABLE_JSON} ${NAMED}`;

const PLACE_SQL = `SELECT c.oid::pg_catalog.int8, n.nspname, c.relname ${NAMED}`;

const STATE_SQL = `SELECT ${STATE} FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1::pg_catalog.text)`;

interface TypeRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly type: string;
  readonly delimiter: string;
  readonly isArray: boolean;
  readonly element: number;
  readonly base: number;
  readonly typmod: number;
}

interface ColumnRow {
  readonly number: number;
  readonly name: string;
  readonly type: number;
  readonly typmod: number;
  readonly declared: string;
  readonly notNull: boolean;
  readonly generated: string;
  readonly identity: string;
  readonly default: string | null;
  readonly collation: {
    readonly schema: string;
    readonly name: string;
    readonly collate: string | null;
    readonly provider: string;
    readonly default: boolean;
  } | null;
}

interface IndexRow {
  readonly primary: boolean;
  readonly immediate: boolean;
  readonly constraint: boolean;
  readonly columns: readonly { readonly number: number; readonly options: number }[];
}

interface DatabaseRow {
  readonly datcollate: string;
  readonly provider: string | null;
  readonly locale: string | null;
}

interface TableRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly size: { readonly rows: number | null; readonly bytes: number | null };
  readonly triggers: boolean;
  readonly plainVersion: string | null;
  readonly rowSecurity: boolean;
  /** Of the column of that name, whatever its type. */
  readonly sidecar: { readonly comment: string | null; readonly readable: boolean } | null;
  readonly database: DatabaseRow;
  readonly columns: readonly ColumnRow[] | null;
  readonly types: readonly TypeRow[] | null;
  readonly indexes: readonly IndexRow[] | null;
}

const TABLE_TYPES: Readonly<Record<string, Table["type"]>> = {
  r: "table",
  p: "partitioned",
  v: "view",
  m: "materializedView",
  f: "foreign",
};

/**
 * Looks at a table; `undefined` where there is none of that name. A name is taken as it is written, and in lower case where there is
 * none of that.
 *
 * @param keyOption the columns that the user says are the key: the key is empty where one of them is no column.
 */
export async function describeTable(
  ask: Ask,
  { schema, name }: TableName,
  keyOption: readonly string[] | undefined,
): Promise<Table | undefined> {
  const { rows } = await ask(TABLE_SQL, [name, schema ?? null]);
  const text = rows[0]?.[0];
  if (text == null) return undefined;
  const row = JSON.parse(text) as TableRow;
  const sign = ownSign(row);
  const isOwn = sign === "marked" || (sign === "unmarked" && (await holdsSidecars(ask, row)));
  return tableOf(row, keyOption, isOwn);
}

/** What a table is told by. */
export type TablePlace = Pick<Table, "oid" | "schema" | "name">;

/** Where a table is found, in a fraction of the time that it takes to look at it; `undefined` where there is none of that name. */
export async function findTable(ask: Ask, { schema, name }: TableName): Promise<TablePlace | undefined> {
  const [row] = (await ask(PLACE_SQL, [name, schema ?? null])).rows;
  return row && { oid: Number(row[0]), schema: row[1]!, name: row[2]! };
}

/** The {@link Table.state} of the table that has a qualified name now. */
export async function stateOf(ask: Ask, name: string): Promise<string | undefined> {
  return (await ask(STATE_SQL, [name])).rows[0]?.[0] ?? undefined;
}

/**
 * Whether the form of a table is that of one of ours. Those that were made before there was a mark have none: they are known by the
 * very types of `id` and the sidecar.
 */
function ownSign(row: TableRow): "marked" | "unmarked" | undefined {
  const sidecar = row.columns?.find((column) => column.name === SIDECAR && column.declared === "json");
  const primary = row.indexes?.find((index) => index.primary);
  const id = row.columns?.find((column) => column.name === "id");
  if (sidecar === undefined || id === undefined) return undefined;
  if (primary?.columns.length !== 1 || primary.columns[0]!.number !== id.number) return undefined;
  if (id.declared !== "bigint" && id.declared !== "text") return undefined;
  if (row.sidecar?.comment === SIDECAR_MARK) return "marked";
  const isPlain = ({ default: by, identity, generated }: ColumnRow) =>
    by === null && identity === "" && generated === "";
  const isByCodePoint =
    id.declared === "bigint" || (id.collation?.schema === "pg_catalog" && id.collation.name === "C");
  const isOurs = row.sidecar?.comment == null && isPlain(id) && isPlain(sidecar) && !sidecar.notNull && isByCodePoint;
  return isOurs ? "unmarked" : undefined;
}

/** Rows of a table without a mark that are looked at. */
const SAMPLED = 1000;

/** Escapes in a text of JSON. The server cannot name the keys of one with U+0000, or half a surrogate pair, in any of its strings. */
const ESCAPES = literal("[\\\\](u[0-9A-Fa-f]{4}|.)");

/** Whether nothing in the column is other than what this starter writes there. */
async function holdsSidecars(ask: Ask, row: TableRow): Promise<boolean> {
  if (row.sidecar?.readable !== true) return true;
  const { rows } = await ask(
    `SELECT pg_catalog.count(*) FROM (SELECT ${quote(SIDECAR)} AS s FROM ${qualified(row)} LIMIT ${SAMPLED}) AS x
     WHERE s IS NOT NULL AND CASE WHEN pg_catalog.json_typeof(s) = 'object'
       THEN EXISTS (SELECT FROM pg_catalog.json_object_keys(pg_catalog.regexp_replace(s::pg_catalog.text, ${ESCAPES}, '?', 'g')::pg_catalog.json)
         AS k(name) WHERE k.name NOT IN ('values', 'absent')) ELSE TRUE END`,
    [],
  );
  return rows[0]?.[0] === "0";
}

/** Looks at many tables by their oids; those that are gone are left out. */
export async function describeTables(ask: Ask, oids: readonly number[]): Promise<Table[]> {
  const { rows } = await ask(
    `SELECT ${TABLE_JSON} FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = ANY ($1::pg_catalog.oid[])`,
    [`{${oids.join(",")}}`],
  );
  return rows.map(([text]) => {
    const row = JSON.parse(text!) as TableRow;
    return tableOf(row, undefined, ownSign(row) !== undefined);
  });
}

function tableOf(row: TableRow, keyOption: readonly string[] | undefined, own: boolean): Table {
  const types = new TypeTable(row.types ?? []);
  const rows = row.columns ?? [];
  const sidecar = rows.find((column) => column.name === SIDECAR);
  const kept = rows.filter((column) => !own || column !== sidecar);
  const columns = kept.map((column) => columnOf(column, own && column.number > sidecar!.number, types, row.database));
  const byNumber = (list: readonly Column[]) => new Map(kept.map(({ number }, at) => [number, list[at]!] as const));
  const named = nameFields(columns, keyOf(row, byNumber(columns), columns, keyOption));
  const numbered = byNumber(named);
  const key = keyOf(row, numbered, named, keyOption);
  return {
    oid: row.oid,
    schema: row.schema,
    name: row.name,
    type: TABLE_TYPES[row.kind]!,
    state: row.state,
    own,
    columns: named,
    key,
    uniques: uniquesOf(row, numbered, key),
    hasTriggers: row.triggers,
    plainVersion: row.plainVersion ?? undefined,
    rowSecurity: row.rowSecurity,
    estimatedRows: row.size.rows ?? -1,
    bytes: row.size.bytes ?? -1,
  };
}

function columnOf(row: ColumnRow, optional: boolean, types: TypeTable, database: DatabaseRow): Column {
  const type = types.get(row.type);
  return {
    name: row.name,
    field: row.name,
    type,
    typmod: types.typmod(row.type, row.typmod),
    declared: row.declared,
    notNull: row.notNull,
    generated: row.generated !== "",
    identity: row.identity === "a" ? "always" : row.identity === "d" ? "byDefault" : undefined,
    default: row.default ?? undefined,
    collation: row.collation === null ? undefined : qualified(row.collation),
    byCodePoint: row.collation !== null && comparesByCodePoint(row.collation, database),
    optional,
  };
}

/** Locales in which texts stand in the order of their code points: with UTF-8, that of their bytes. */
const CODE_POINT_LOCALES = /^(?:C|POSIX|C\.UTF-?8|ucs_basic|unicode_fast|PG_C_UTF8|PG_UNICODE_FAST)$/i;

function comparesByCodePoint(collation: NonNullable<ColumnRow["collation"]>, database: DatabaseRow): boolean {
  if (collation.default) {
    // The locales of ICU are those of languages.
    if (database.provider === "i") return false;
    return CODE_POINT_LOCALES.test(database.provider === "b" ? (database.locale ?? "") : database.datcollate);
  }
  if (collation.provider === "i") return false;
  return CODE_POINT_LOCALES.test(collation.collate ?? collation.name);
}

function keyOf(
  row: TableRow,
  byNumber: ReadonlyMap<number, Column>,
  columns: readonly Column[],
  keyOption: readonly string[] | undefined,
): TableKey {
  const indexes = row.indexes ?? [];
  const none: TableKey = { columns: [], unique: false, primary: false, immediate: false };
  if (keyOption !== undefined) {
    const named = keyOption.map((name) => columns.find((column) => column.name === name));
    if (named.some((column) => column === undefined)) return none;
    const wanted = new Set(named as Column[]);
    const index = indexes.find((candidate) => {
      const parts = keyColumns(candidate, byNumber);
      return parts?.length === wanted.size && parts.every(({ column }) => wanted.has(column));
    });
    if (index !== undefined) return keyByIndex(index, keyColumns(index, byNumber)!);
    return { ...none, columns: named.map((column) => ({ column: column!, descending: false, nullsFirst: false })) };
  }
  // The primary key comes first. NULL is no name of a row.
  for (const index of indexes) {
    const parts = keyColumns(index, byNumber);
    if (parts?.every(({ column }) => column.notNull)) return keyByIndex(index, parts);
  }
  return none;
}

function keyByIndex(index: IndexRow, columns: readonly KeyColumn[]): TableKey {
  const unique = columns.every(({ column }) => column.notNull);
  return { columns, unique, primary: index.primary, immediate: index.immediate };
}

/** The columns of an index; `undefined` where one of them is an expression. */
function keyColumns(index: IndexRow, byNumber: ReadonlyMap<number, Column>): KeyColumn[] | undefined {
  const parts = index.columns.map(({ number, options }) => {
    const column = byNumber.get(number);
    return column && { column, descending: (options & 1) !== 0, nullsFirst: (options & 2) !== 0 };
  });
  return parts.every((part) => part !== undefined) ? parts : undefined;
}

function uniquesOf(row: TableRow, byNumber: ReadonlyMap<number, Column>, key: TableKey): (readonly Column[])[] {
  const taken = new Set(key.columns.map(({ column }) => column));
  return (row.indexes ?? []).flatMap((index) => {
    const columns = keyColumns(index, byNumber)?.map(({ column }) => column);
    if (columns === undefined || !index.constraint) return [];
    return columns.length === taken.size && columns.every((column) => taken.has(column)) ? [] : [columns];
  });
}

/** A column `id` that is not the key steps aside, since the field `id` of a record is its identity. */
export function nameFields(columns: readonly Column[], key: TableKey): Column[] {
  const keyIsId = key.columns.length === 1 && key.columns[0]!.column.name === "id";
  if (keyIsId) return [...columns];
  const taken = new Set(columns.map(({ name }) => name));
  let free = "_id";
  while (taken.has(free)) free = `_${free}`;
  return columns.map((column) => (column.name === "id" ? { ...column, field: free } : column));
}

/** Types by their oids, with what they are made of. */
class TypeTable {
  readonly #rows: ReadonlyMap<number, TypeRow>;
  readonly #made = new Map<number, ColumnType>();

  constructor(rows: readonly TypeRow[]) {
    this.#rows = new Map(rows.map((row) => [row.oid, row]));
  }

  get(oid: number): ColumnType {
    const known = this.#made.get(oid);
    if (known !== undefined) return known;
    const row = this.#rows.get(oid);
    if (row === undefined)
      throw new P2PError("READ_FAILED", `The catalogue tells nothing of the type with the oid ${oid}`);
    const base = row.type === "d" ? this.#undomained(row.base) : undefined;
    const type: ColumnType = {
      oid,
      schema: row.schema,
      name: row.name,
      kind: row.isArray ? "array" : (KINDS_OF_TYPE[row.type] ?? "base"),
      delimiter: row.delimiter,
      ...(base && { base }),
      ...(row.isArray && { element: this.get(row.element) }),
    };
    this.#made.set(oid, type);
    return type;
  }

  #undomained(oid: number): ColumnType {
    const type = this.get(oid);
    return type.base ?? type;
  }

  /** The modifier that holds for a column: of a domain, the first one on the way down. */
  typmod(oid: number, given: number): number {
    let typmod = given;
    for (let row = this.#rows.get(oid); typmod === -1 && row?.type === "d"; row = this.#rows.get(row.base)) {
      typmod = row.typmod;
    }
    return typmod;
  }
}

const KINDS_OF_TYPE: Readonly<Record<string, ColumnType["kind"]>> = {
  b: "base",
  e: "enum",
  d: "domain",
  c: "composite",
  r: "range",
  m: "multirange",
  p: "pseudo",
};

/** Types by their oids. */
export async function resolveTypes(ask: Ask, oids: readonly number[]): Promise<ReadonlyMap<number, ColumnType>> {
  const { rows } = await ask(`SELECT ${typesSql("SELECT o::pg_catalog.oid FROM unnest($1::pg_catalog.int8[]) o")}`, [
    `{${oids.join(",")}}`,
  ]);
  const found = new TypeTable((JSON.parse(rows[0]![0] ?? "[]") ?? []) as TypeRow[]);
  return new Map(oids.map((oid) => [oid, found.get(oid)]));
}
