/** The SQL of writing: COPY, and statements whose rows come as one array of texts a column. */
import type { Cell, Row } from "../client/session.ts";
import { literal, qualified, quote, type Sql } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import type { PendingRow, WrittenColumn } from "./row-shape.ts";

/** Names of what a statement's rows are called, which no column can meet. */
const STAGE = '"p2p:rows"';
const NUMBER = '"p2p:n"';

function cellName(at: number): string {
  return `"p2p:${at}"`;
}

function names(columns: readonly WrittenColumn[]): string {
  return columns.map(({ name }) => quote(name)).join(", ");
}

export function copySql(table: Table, columns: readonly WrittenColumn[]): string {
  return `COPY ${qualified(table)} (${names(columns)}) FROM STDIN`;
}

/** What binary rows are copied by into a table of ours: texts that are the same for all batches. */
export interface CopyStatements {
  /** Into the table itself. */
  readonly direct: string;
  /** Into a temporary table, from which {@link upsert} takes them. */
  readonly aside: string;
  readonly upsert: string;
  /** {@link assertUnalteredSql}, of a plain table. */
  readonly assertUnaltered: string | undefined;
}

const copyStatements = new WeakMap<Table, CopyStatements>();

/** @param columns of a table of ours, which are always the same. */
export function copyStatementsOf(table: Table, columns: readonly WrittenColumn[]): CopyStatements {
  const known = copyStatements.get(table);
  if (known !== undefined) return known;
  const { plainVersion } = table;
  const made: CopyStatements = {
    direct: copyBinarySql(table, columns),
    aside: copyAsideSql(columns),
    upsert: upsertCopiedSql(table, columns),
    assertUnaltered: plainVersion === undefined ? undefined : assertUnalteredSql(table, plainVersion),
  };
  copyStatements.set(table, made);
  return made;
}

/** COPY of binary rows into a table of ours. */
function copyBinarySql(table: Table, columns: readonly WrittenColumn[]): string {
  return `COPY ${qualified(table)} (${names(columns)}) FROM STDIN (FORMAT binary)`;
}

/** What binary rows are copied into where some of them are known: it lasts as long as the transaction. */
const PAGE = '"pg_temp"."p2p:page"';

/** COPY of binary rows into a temporary table, from which {@link upsertCopiedSql} takes them. */
function copyAsideSql(columns: readonly WrittenColumn[]): string {
  const definitions = columns.map(({ name, type }) => `${quote(name)} ${type}`).join(", ");
  return (
    `CREATE TEMP TABLE "p2p:page" (${definitions}) ON COMMIT DROP; ` +
    `COPY ${PAGE} (${names(columns)}) FROM STDIN (FORMAT binary)`
  );
}

function upsertCopiedSql(table: Table, columns: readonly WrittenColumn[]): string {
  const others = columns.filter(({ isKey }) => !isKey);
  return (
    `INSERT INTO ${qualified(table)} (${names(columns)}) SELECT ${names(columns)} FROM ${PAGE} ` +
    `ON CONFLICT (${keyNames(table)}) DO UPDATE SET ${others.map(setExcluded).join(", ")}`
  );
}

/**
 * What the server cannot read as a number, and says so, where a table is not as it was described. A SQLSTATE alone does not tell: any that
 * a statement can be made to fail with may be that of a generated column or a check, and then it is one record's error.
 */
export const OTHER_COLUMNS = "p2p: the table is another than it was described as";

/** Fails with {@link OTHER_COLUMNS} in the message where a condition does not hold. */
function assertSql(condition: string): string {
  return `SELECT (CASE WHEN ${condition} THEN '1' ELSE ${literal(OTHER_COLUMNS)} END)::pg_catalog.int4`;
}

/** Whether a table of ours still has its primary key: without one the server would take every record that is there once more. */
function hasKeySql({ oid }: Table): string {
  return `EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = ${oid} AND indisprimary)`;
}

/**
 * Keeps others from changing a table of ours until the end of the transaction, and fails where they have, or have put another in its
 * place: a record that is replaced must lose what it had in all of its columns.
 */
export function lockSchemaSql(table: Table): string {
  // Beside the columns there is the sidecar.
  return (
    `LOCK TABLE ${qualified(table)} IN ROW EXCLUSIVE MODE; ` +
    `${assertSql(`pg_catalog.count(*) = ${table.columns.length + 1} AND ${hasKeySql(table)}`)} FROM pg_catalog.pg_attribute ` +
    `WHERE attrelid = ${table.oid} AND attrelid = ${literal(qualified(table))}::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped`
  );
}

/**
 * Fails where a plain table was altered since it was described, or another is in its place. Once a statement has written to it, its lock
 * keeps others from altering it until the end of the transaction. Two rows of the catalogue cost the server a fraction of all columns; that
 * of the table does not change when it loses its key.
 */
function assertUnalteredSql(table: Table, plainVersion: string): string {
  return assertSql(
    "EXISTS (SELECT FROM pg_catalog.pg_class " +
      `WHERE oid = ${table.oid} AND oid = ${literal(qualified(table))}::pg_catalog.regclass ` +
      `AND xmin = ${literal(plainVersion)}::pg_catalog.xid AND NOT relhastriggers AND NOT relhasrules) ` +
      `AND ${hasKeySql(table)}`,
  );
}

/**
 * The same as {@link lockSchemaSql} for a table of others from which records are deleted that must be as they are expected: a column that
 * came meanwhile, or is of another type, would make another record of them. Views and foreign tables cannot be kept from being changed.
 */
export function lockColumnsSql(table: Table): string {
  const columns = table.columns.map(({ name, type }) => `${name}:${type.oid}`).join(",");
  const mayLock = table.type === "table" || table.type === "partitioned";
  const lock = !mayLock ? "" : `LOCK TABLE ${qualified(table)} IN ROW EXCLUSIVE MODE; `;
  return (
    `${lock}${assertSql(`pg_catalog.string_agg(pg_catalog.concat(attname, ':', atttypid), ',' ORDER BY attnum) = ${literal(columns)}`)} ` +
    `FROM pg_catalog.pg_attribute WHERE attrelid = ${table.oid} AND attrelid = ${literal(qualified(table))}::pg_catalog.regclass AND attnum > 0 AND NOT attisdropped`
  );
}

/** Rows as a relation: cells by `p2p:0`, `p2p:1`, … in their types, and their numbers from 1 on. */
function stage(columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const cells = columns.map((_, at) => cellName(at));
  const cast = columns.map(({ type }, at) => `${cellName(at)}::${type} AS ${cellName(at)}`);
  if (rows.length === 1) {
    // A row by itself may be larger than an array can be.
    const alone = columns.map(({ type }, at) => `$${at + 1}::pg_catalog.text::${type} AS ${cellName(at)}`);
    return { text: `SELECT ${alone.join(", ")}, 1::pg_catalog.int8 AS ${NUMBER}`, params: rows[0]!.cells };
  }
  const arrays = columns.map((_, at) => `$${at + 1}::pg_catalog.text[]`);
  return {
    text:
      `SELECT ${cast.join(", ")}, ${NUMBER} FROM ROWS FROM (${arrays.map((array) => `pg_catalog.unnest(${array})`).join(", ")}) ` +
      `WITH ORDINALITY AS "p2p:cells"(${cells.join(", ")}, ${NUMBER})`,
    params: columns.map((_, at) => textArray(rows, at)),
  };
}

/** An array literal of one cell of each row. */
function textArray(rows: readonly { readonly cells: readonly Cell[] }[], at: number): string {
  let text = "{";
  for (let row = 0; row < rows.length; row++) {
    const cell = rows[row]!.cells[at]!;
    if (row > 0) text += ",";
    if (cell === null) text += "NULL";
    else text += `"${NEEDS_ESCAPE.test(cell) ? cell.replace(ALL_ESCAPES, "\\$&") : cell}"`;
  }
  return `${text}}`;
}

const NEEDS_ESCAPE = /["\\]/;
const ALL_ESCAPES = /["\\]/g;

function keyNames(table: Table): string {
  return table.key.columns.map(({ column }) => quote(column.name)).join(", ");
}

function keyJoin(table: Table, columns: readonly WrittenColumn[], stageName: string, target: string): string {
  return table.key.columns
    .map(({ column }) => {
      const at = columns.findIndex(({ name }) => name === column.name);
      return `${target}.${quote(column.name)} = ${stageName}.${cellName(at)}`;
    })
    .join(" AND ");
}

function insertInto(table: Table, columns: readonly WrittenColumn[]): string {
  const overriding = columns.some(({ isAlwaysIdentity }) => isAlwaysIdentity) ? " OVERRIDING SYSTEM VALUE" : "";
  return `INSERT INTO ${qualified(table)} (${names(columns)})${overriding}`;
}

/** Inserts rows, with nothing said of those that are there. */
export function insertSql(table: Table, columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const { text, params } = stage(columns, rows);
  const cells = columns.map((_, at) => cellName(at)).join(", ");
  return { text: `${insertInto(table, columns)} SELECT ${cells} FROM (${text}) ${STAGE} ORDER BY ${NUMBER}`, params };
}

/** Replaces what is there. */
export function upsertSql(table: Table, columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const { text, params } = insertSql(table, columns, rows);
  const others = columns.filter(({ isKey }) => !isKey);
  const set = others.filter(({ isAlwaysIdentity }) => !isAlwaysIdentity).map(setExcluded);
  const kept = others.filter(({ isAlwaysIdentity }) => isAlwaysIdentity);
  // No statement can change them: a row that had to is not written.
  const same = kept.map(
    ({ name }) => `${qualified(table)}.${quote(name)} IS NOT DISTINCT FROM EXCLUDED.${quote(name)}`,
  );
  if (set.length === 0) return { text: `${text} ON CONFLICT (${keyNames(table)}) DO NOTHING`, params };
  const where = same.length === 0 ? "" : ` WHERE ${same.join(" AND ")}`;
  return { text: `${text} ON CONFLICT (${keyNames(table)}) DO UPDATE SET ${set.join(", ")}${where}`, params };
}

function setExcluded({ name }: WrittenColumn): string {
  return `${quote(name)} = EXCLUDED.${quote(name)}`;
}

/** Leaves alone what is there: gives the numbers of the rows that were not written, the later ones of a key among them. */
export function insertNewSql(table: Table, columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const { text, params } = stage(columns, rows);
  const cells = columns.map((_, at) => cellName(at)).join(", ");
  const keyCells = table.key.columns.map(
    ({ column }) => `${STAGE}.${cellName(columns.findIndex(({ name }) => name === column.name))}`,
  );
  return {
    text:
      `WITH ${STAGE} AS (${text}), "p2p:new" AS (${insertInto(table, columns)} SELECT ${cells} FROM ${STAGE} ORDER BY ${NUMBER} ` +
      `ON CONFLICT (${keyNames(table)}) DO NOTHING RETURNING ${keyNames(table)}), "p2p:all" AS (SELECT ${STAGE}.${NUMBER} AS n, ` +
      `"p2p:new".${quote(table.key.columns[0]!.column.name)} IS NOT NULL AS is_new, pg_catalog.row_number() OVER (PARTITION BY ${keyCells.join(", ")} ORDER BY ${STAGE}.${NUMBER}) AS turn ` +
      `FROM ${STAGE} LEFT JOIN "p2p:new" ON ${keyJoin(table, columns, STAGE, '"p2p:new"')}) ` +
      'SELECT n FROM "p2p:all" WHERE (SELECT pg_catalog.count(*) FROM "p2p:new") < (SELECT pg_catalog.count(*) FROM "p2p:all") AND (NOT is_new OR turn > 1) ORDER BY n',
    params,
  };
}

/** The numbers of the rows whose key is there. */
export function presentSql(
  table: Table,
  columns: readonly WrittenColumn[],
  rows: readonly PendingRow[],
  lock: boolean,
): Sql {
  const { text, params } = stage(columns.slice(0, table.key.columns.length), keysOf(rows, table.key.columns.length));
  return {
    text:
      `SELECT ${STAGE}.${NUMBER} FROM (${text}) ${STAGE} JOIN ${qualified(table)} "p2p:there" ON ${keyJoin(table, columns, STAGE, '"p2p:there"')}` +
      (lock ? ' FOR UPDATE OF "p2p:there"' : ""),
    params,
  };
}

/** Replaces rows that are there, where no index can tell. */
export function updateSql(table: Table, columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const { text, params } = stage(columns, rows);
  const set = columns.flatMap(({ name, isKey, isAlwaysIdentity }, at) =>
    isKey || isAlwaysIdentity ? [] : [`${quote(name)} = ${STAGE}.${cellName(at)}`],
  );
  return {
    text: `UPDATE ${qualified(table)} AS "p2p:there" SET ${set.join(", ")} FROM (${text}) ${STAGE} WHERE ${keyJoin(table, columns, STAGE, '"p2p:there"')}`,
    params,
  };
}

/** Rows with these keys, each with its number behind what is selected of it, locked until the transaction ends. */
export function lockSql(
  table: Table,
  columns: readonly WrittenColumn[],
  rows: readonly PendingRow[],
  select: readonly string[],
): Sql {
  const { text, params } = stage(columns, rows);
  // The names of the plan stand without a table, so that the rows are those of an inner query.
  return {
    text:
      `SELECT ${select.join(", ")}, ${NUMBER} FROM ${qualified(table)} JOIN (${text}) ${STAGE} ` +
      `ON ${keyJoin(table, columns, STAGE, qualified(table))} ORDER BY ${NUMBER} FOR UPDATE OF ${quote(table.name)}`,
    params,
  };
}

/** Deletes rows by their keys, and gives the numbers of those that are gone. */
export function deleteSql(table: Table, columns: readonly WrittenColumn[], rows: readonly PendingRow[]): Sql {
  const { text, params } = stage(columns, rows);
  return {
    text:
      `DELETE FROM ${qualified(table)} AS "p2p:there" USING (${text}) ${STAGE} WHERE ${keyJoin(table, columns, STAGE, '"p2p:there"')} ` +
      `RETURNING ${STAGE}.${NUMBER}`,
    params,
  };
}

/** The places that a statement told of, from 0 on. */
export function numbersOf(rows: readonly Row[]): number[] {
  return rows.map((row) => Number(row.at(-1)) - 1);
}

function keysOf(rows: readonly PendingRow[], width: number): PendingRow[] {
  return rows.map((row) => ({ ...row, cells: row.cells.slice(0, width) }));
}
