/** A dry run of a write: what the fields of some records would become in a table. */
import {
  type DescribeContext,
  encodeJson,
  type FieldMapping,
  type FieldSample,
  getField,
  isP2PError,
  messageOf,
  P2PError,
  type P2PRecord,
  type P2PValue,
  sampleFields,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import { declaredOf } from "../client/declared-table.ts";
import { qualified, quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Column, Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { isColumnName } from "../values/column-names.ts";
import { decoderOf } from "../values/decode.ts";
import { encodeCell } from "../values/encode.ts";
import { isPlainId } from "../values/own-ids.ts";
import { ownTypeFor, storeOwn, typeNameOf, UNREPRESENTABLE } from "../values/own-values.ts";
import { ownIdType } from "../values/row-plan.ts";
import { createDeclaredSql } from "../writing/declared-table.ts";
import { ForeignShape } from "../writing/foreign-shape.ts";
import { createTableSql } from "../writing/new-table.ts";

/** A table that records would be written to. */
interface PlannedTable {
  readonly table: Table;
  /** Whether the write would make it. */
  readonly isNew: boolean;
}

/**
 * What the fields of some records would become in the table of a store, without writing any. A table that is not there is made in
 * a transaction that is rolled back.
 */
export async function describeFields(
  store: PostgresqlStore,
  sample: readonly P2PRecord[],
  context: DescribeContext,
): Promise<FieldMapping[]> {
  if (sample.length === 0) return [];
  const found = await store.table(context.signal);
  const planned = { table: found ?? (await plannedTable(store, sample, context)), isNew: found === undefined };
  const fields = sampleFields(sample);
  if (planned.table.own) return fields.map((field) => describeOwn(planned.table, field));
  const described: FieldMapping[] = [];
  for (const field of fields) described.push(await describeForeign(store, planned, field, sample, context.signal));
  return [...described, ...describeMissing(planned.table, fields)];
}

/** The table that the first write would make. */
async function plannedTable(
  store: PostgresqlStore,
  sample: readonly P2PRecord[],
  { schema, signal }: DescribeContext,
): Promise<Table> {
  const name = store.tableName!;
  const sqlName = name.schema === undefined ? quote(name.name) : qualified({ schema: name.schema, name: name.name });
  const rollback = new P2PError("INVALID_STATE", "The table was only looked at");
  let planned: Table | undefined;
  try {
    await store.transaction("write", signal, async (session) => {
      const declared = declaredOf(schema);
      await session.script(
        declared === undefined ? createTableSql(sqlName, sample) : await createDeclaredSql(sqlName, declared, session),
      );
      planned = await store.describe(name, signal, session);
      throw rollback;
    });
  } catch (error) {
    if (error !== rollback) throw error;
  }
  if (planned === undefined) throw new P2PError("WRITE_FAILED", `${store.label}: the table cannot be made`);
  return planned;
}

function describeOwn(table: Table, { field, types, values }: FieldSample): FieldMapping {
  const column = table.columns.find((candidate) => candidate.field === field);
  const declared = column?.declared ?? (isColumnName(field) ? ownTypeFor(values) : undefined);
  if (declared === undefined) {
    const note = isColumnName(field)
      ? "It gets a column with its first value that is not null"
      : "PostgreSQL has no column for this name, so it goes into the sidecar column as JSON";
    return { field, types, storedAs: SIDECAR, lossless: true, note };
  }
  const isPlain =
    field === "id"
      ? values.every((id) => isPlainId(ownIdType(table), id as P2PRecord["id"]))
      : values.every((value) => storeOwn(column?.type.name ?? typeNameOf(declared), value) !== UNREPRESENTABLE);
  if (isPlain) return { field, types, storedAs: declared, lossless: true };
  const note = `What the column cannot say of these values stands in the sidecar column ${SIDECAR}`;
  return { field, types, storedAs: `${declared}, ${SIDECAR}`, lossless: true, note };
}

async function describeForeign(
  store: PostgresqlStore,
  { table, isNew }: PlannedTable,
  sample: FieldSample,
  records: readonly P2PRecord[],
  signal: AbortSignal,
): Promise<FieldMapping> {
  const { field, types } = sample;
  const key = table.key.columns.map((part) => part.column);
  const trouble = field === "id" ? idTrouble(table, records) : undefined;
  const column =
    table.columns.find((candidate) => candidate.field === field) ??
    (field === "id" && key.length === 1 ? key[0] : undefined);
  if (column?.generated) {
    return { field, types, storedAs: "nothing", lossless: false, note: "The column is generated, and is not written" };
  }
  if (column !== undefined) {
    if (trouble !== undefined) return refusedField(column, sample, trouble);
    const isMissing = isRequired(column, key) && sample.values.length < records.length;
    const note = isMissing ? notGiven(column) : await columnTrouble(store, column, sample.values, signal);
    if (note !== undefined) return refusedField(column, sample, note);
    const alike = isNew ? { note: "Declared as in the source" } : {};
    return { field, types, storedAs: column.declared, lossless: true, ...alike };
  }
  if (field === "id") {
    const what = `the columns ${key.map(({ name }) => name).join(", ")}`;
    return { field, types, storedAs: what, lossless: trouble === undefined, ...(trouble && { note: trouble }) };
  }
  return describeUnknown(store, sample);
}

/** A field that the table has no column for. */
function describeUnknown({ endpoint }: PostgresqlStore, { field, types, values }: FieldSample): FieldMapping {
  const nothing = (note: string): FieldMapping => ({ field, types, storedAs: "nothing", lossless: false, note });
  if (endpoint.unknownFields === "ignore") {
    return nothing("The table has no such column, and the option unknownFields is ignore");
  }
  if (endpoint.unknownFields === "fail") {
    const advice = "set the option unknownFields to add or ignore";
    return nothing(`The table has no such column, so these records would fail; ${advice}`);
  }
  if (!isColumnName(field)) {
    const advice = "give the field another name in a transform";
    return nothing(`PostgreSQL lets no column of this name be added, so these records would fail; ${advice}`);
  }
  const declared = ownTypeFor(values) ?? "text";
  const typeName = typeNameOf(declared);
  const isLossless = values.every((value) => storeOwn(typeName, value) !== UNREPRESENTABLE);
  const note = isLossless
    ? "A column would be added"
    : "A column would be added, which cannot hold all of these values";
  return { field, types, storedAs: declared, lossless: isLossless, note };
}

/** The columns that every row needs and no record of the sample has. */
function describeMissing(table: Table, fields: readonly FieldSample[]): FieldMapping[] {
  const given = new Set(fields.map(({ field }) => field));
  const key = table.key.columns.map(({ column }) => column);
  return table.columns
    .filter((column) => isRequired(column, key) && !given.has(column.field))
    .map((column) => refusedField(column, { field: column.field, types: [], values: [] }, notGiven(column)));
}

/** Whether every row needs a value there. Those of the key have one in any case. */
function isRequired(column: Column, key: readonly Column[]): boolean {
  const { notNull, generated, identity } = column;
  return notNull && !generated && identity === undefined && column.default === undefined && !key.includes(column);
}

function notGiven({ name }: Column): string {
  return `The column "${name}" is NOT NULL and has no default, so records without this field would fail; add it in a transform`;
}

function refusedField({ declared }: Column, { field, types }: FieldSample, note: string): FieldMapping {
  return { field, types, storedAs: declared, lossless: false, note };
}

/** Why the id of a record of the sample, or the fields that are the key, would be refused; `undefined` when none would. */
function idTrouble(table: Table, records: readonly P2PRecord[]): string | undefined {
  const key = table.key.columns.map(({ column }) => column);
  // A column `id` is described by its values.
  if (key.length === 1 && key[0]!.field === "id") return undefined;
  for (const record of records) {
    const fields = ["id", ...key.map(({ field }) => field).filter((field) => getField(record, field) !== undefined)];
    try {
      new ForeignShape(table, fields, true).encodeKey(record);
    } catch (error) {
      if (!isP2PError(error)) throw error;
      return messageOf(error);
    }
  }
  return undefined;
}

/** Why a column would refuse one of the values, or not give it back; `undefined` where it does neither. The server is asked. */
async function columnTrouble(
  store: PostgresqlStore,
  column: Column,
  values: readonly P2PValue[],
  signal: AbortSignal,
): Promise<string | undefined> {
  if (column.notNull && values.includes(null)) {
    return `The column "${column.name}" is NOT NULL, so records with null there would fail; give a value in a transform`;
  }
  const given = values.filter((value) => value !== null);
  const cells: string[] = [];
  for (const value of given) {
    try {
      cells.push(encodeCell(column, value)!);
    } catch (error) {
      return messageOf(error);
    }
  }
  const back = await serverTexts(store, column, cells, signal);
  const decode = decoderOf(column, { plain: false });
  for (const [at, text] of back.entries()) {
    if (text instanceof P2PError) return messageOf(text);
    const value = decode(text);
    if (valuesEqual(value, given[at]!)) continue;
    const [before, after] = [valueType(given[at]!), valueType(value)];
    const shown = encodeJson(value).slice(0, 80);
    return before === after ? `A ${before} would come back as ${shown}` : `A ${before} would come back as a ${after}`;
  }
  return undefined;
}

/** The server's texts of texts of a type; where it refuses one, why. */
async function serverTexts(
  store: PostgresqlStore,
  { declared }: Column,
  cells: readonly string[],
  signal: AbortSignal,
): Promise<(string | P2PError)[]> {
  const ask = async (part: readonly string[]) => {
    const list = part.map((_, at) => `($${at + 1}::${declared})`).join(", ");
    const { rows } = await store.query("read", signal, `SELECT * FROM (VALUES ${list}) AS t`, part);
    return rows.map(([text]) => text!);
  };
  if (cells.length === 0) return [];
  try {
    return await ask(cells);
  } catch (error) {
    if (!isP2PError(error, "READ_FAILED")) throw error;
  }
  // One of them is the cause.
  const texts: (string | P2PError)[] = [];
  for (const cell of cells) {
    try {
      texts.push(...(await ask([cell])));
    } catch (error) {
      if (!isP2PError(error, "READ_FAILED")) throw error;
      return [...texts, error];
    }
  }
  return texts;
}
