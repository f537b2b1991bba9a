import { stat } from "node:fs/promises";
import {
  type DescribeContext,
  type FieldMapping,
  type FieldSample,
  getField,
  isP2PError,
  messageOf,
  type OpenContext,
  P2PError,
  type P2PRecord,
  type P2PValue,
  sampleFields,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import { isTwin, newTableSql, type Twin, twinOf } from "../client/declared-table.ts";
import { assertTarget, openInMemory, openStore } from "../client/open.ts";
import { assertWritable, canBeAdded, declaredType, takenNames } from "../client/schema.ts";
import { foldName, type SqlValue } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import type { Column, Table } from "../client/table.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import { mayNotBeMade, requireTable } from "../query/relation.ts";
import { kindOf, SIDECAR } from "../types.ts";
import { decoders } from "../values/decode.ts";
import { REFUSED, storeForeign } from "../values/foreign-values.ts";
import { isPlainId } from "../values/own-ids.ts";
import { storeOwn, UNREPRESENTABLE } from "../values/own-values.ts";
import { foreignShape, storeCell } from "../writing/foreign-shape.ts";

/** A table that records would be written to. */
interface PlannedTable {
  readonly table: Table;
  /** Whether the write would make it. */
  readonly isNew: boolean;
  /** What the source declares, where it is a SQLite file. */
  readonly twin: Twin | undefined;
  /** Columns without which a row is refused. */
  readonly required: ReadonlySet<string>;
}

/** What the fields of some records would become in a table, without writing any. */
export async function describeFields(
  endpoint: SqliteEndpoint,
  tableName: string,
  sample: readonly P2PRecord[],
  context: DescribeContext,
): Promise<FieldMapping[]> {
  await assertTakesRecords(endpoint, tableName, context);
  if (sample.length === 0) return [];
  const twin = twinOf(context.schema);
  const planned =
    (await existingTable(endpoint, tableName, twin, context)) ??
    (await newTable(endpoint, tableName, sample, twin, context));
  const fields = sampleFields(sample);
  if (planned.table.own) return describeOwn(planned, fields);
  return [
    ...fields.map((field) => describeForeign(planned, field, sample, endpoint)),
    ...describeMissing(planned, fields),
  ];
}

/**
 * Finds out what would keep records from being written, without writing: the folder, the rights, a view, a reserved name.
 * A file that is there is opened as it would be for writing, and its lock taken and given back.
 */
async function assertTakesRecords(endpoint: SqliteEndpoint, name: string, context: OpenContext): Promise<void> {
  if (/^sqlite_/i.test(name)) {
    const { label } = endpoint;
    throw new P2PError(
      "TARGET_NOT_WRITABLE",
      `${label} cannot be written: SQLite keeps names like "${name}" for itself; name another table`,
    );
  }
  if (!(await assertTarget(endpoint))) return;
  const store = await openStore(endpoint, { ...context, role: "target" });
  try {
    await store.patiently("read", context.signal, () => {
      const table = store.table(name);
      if (table === undefined) return;
      assertWritable(table, endpoint.label);
      requireTable(store, name);
    });
  } finally {
    store.close();
  }
}

async function existingTable(
  endpoint: SqliteEndpoint,
  name: string,
  twin: Twin | undefined,
  context: DescribeContext,
): Promise<PlannedTable | undefined> {
  context.signal.throwIfAborted();
  const file = await stat(endpoint.file).catch(() => undefined);
  if (file === undefined) return undefined;
  const store = await openStore(endpoint, { ...context, role: "source" });
  try {
    return await store.patiently("read", context.signal, () => {
      const table = store.table(name);
      if (table !== undefined) return { table, isNew: false, twin, required: requiredColumns(store, table) };
      if (endpoint.options.create === "never") throw mayNotBeMade(store, name);
      return undefined;
    });
  } finally {
    store.close();
  }
}

/** The table that the first write would make, made in memory, so that it is looked at as one that is there. */
async function newTable(
  endpoint: SqliteEndpoint,
  name: string,
  sample: readonly P2PRecord[],
  twin: Twin | undefined,
  { signal }: DescribeContext,
): Promise<PlannedTable> {
  const store = await openInMemory(endpoint);
  try {
    return await store.patiently("written", signal, () => {
      if (endpoint.options.create === "never") throw mayNotBeMade(store, name);
      store.db.exec(newTableSql(name, sample, twin));
      const table = requireTable(store, name);
      return { table, isNew: true, twin, required: requiredColumns(store, table) };
    });
  } finally {
    store.close();
  }
}

/** The columns that are NOT NULL without a default; those of the key have a value in any case. */
function requiredColumns(store: SqliteStore, { name, key }: Table): Set<string> {
  const sql = `SELECT name FROM pragma_table_xinfo(?) WHERE "notnull" = 1 AND dflt_value IS NULL AND hidden = 0`;
  const names = new Set(store.values(sql).all(name) as string[]);
  for (const { column } of key.columns) names.delete(column.name);
  return names;
}

function describeOwn({ table, isNew, twin }: PlannedTable, fields: readonly FieldSample[]): FieldMapping[] {
  const taken = takenNames(table);
  return fields.map(({ field, types, values }) => {
    const column = table.columns.find((candidate) => candidate.field === field);
    if (column === undefined && !canBeAdded(field, taken)) {
      const note = "SQLite has no column for this name beside the others, so it goes into the sidecar column as JSON";
      return { field, types, storedAs: SIDECAR, lossless: true, note };
    }
    if (column === undefined) taken.add(foldName(field));
    // A new column without a type gets that of its first values.
    const untyped = column === undefined || (isNew && column.declared === "");
    const declared = untyped ? declaredType(new Set(types)) : column.declared;
    const kind = untyped ? kindOf(declared, true, false) : column.kind;
    const isPlain =
      field === "id"
        ? values.every((id) => isPlainId(kind, id as P2PRecord["id"]))
        : values.every((value) => storeOwn(kind, value) !== UNREPRESENTABLE);
    const type = declared === "" ? "no type" : declared;
    if (!isPlain) {
      const note = `What the column cannot say of these values stands in the sidecar column ${SIDECAR}`;
      return { field, types, storedAs: `${type}, ${SIDECAR}`, lossless: true, note };
    }
    const alike = isNew && twin !== undefined && column !== undefined ? { note: declaredAlike(table, column) } : {};
    return { field, types, storedAs: type, lossless: true, ...alike };
  });
}

/** What a new column has of the source's, for people. */
function declaredAlike({ key }: Table, column: Column): string {
  const isKey = key.columns.length === 1 && key.columns[0]!.column === column;
  const isPart = key.columns.some((part) => part.column === column);
  const parts = [...(isKey ? ["key"] : isPart ? ["part of the key"] : []), ...(column.notNull ? ["NOT NULL"] : [])];
  return `Declared as in the source${parts.length === 0 ? "" : `: ${parts.join(", ")}`}`;
}

function describeForeign(
  planned: PlannedTable,
  sample: FieldSample,
  records: readonly P2PRecord[],
  { options }: SqliteEndpoint,
): FieldMapping {
  const { table, isNew, twin, required } = planned;
  const { field, types } = sample;
  const key = table.key.columns;
  const trouble = field === "id" ? idTrouble(planned, records) : undefined;
  const column =
    table.columns.find((candidate) => candidate.field === field) ??
    (field === "id" && key.length === 1 ? key[0]!.column : undefined);
  if (column?.generated) {
    return { field, types, storedAs: "nothing", lossless: false, note: "The column is generated, and is not written" };
  }
  const isLike = twin !== undefined && isTwin(table, twin);
  if (column !== undefined) {
    const needed = required.has(column.name) && sample.values.length < records.length;
    const described =
      trouble === undefined ? describeColumn(column, sample, isLike) : refusedField(column, sample, trouble);
    if (described.lossless && needed) return refusedField(column, sample, notGiven(column));
    return described.lossless && isNew && described.note === undefined
      ? { ...described, note: declaredAlike(table, column) }
      : described;
  }
  if (field === "id") {
    const what = key.length === 0 ? "the rowid" : `the columns ${key.map(({ column: { name } }) => name).join(", ")}`;
    return { field, types, storedAs: what, lossless: trouble === undefined, ...(trouble && { note: trouble }) };
  }
  if (options.unknownFields === "add" && canBeAdded(field, takenNames(table), false)) {
    const fresh = newColumn(field, declaredType(new Set(types)));
    return { note: "A column would be added", ...describeColumn(fresh, sample, isLike) };
  }
  const note =
    options.unknownFields === "add"
      ? "SQLite lets no column of this name be added, so these records would fail; give the field another name in a transform"
      : options.unknownFields === "ignore"
        ? "The table has no such column, and the option unknownFields is ignore"
        : "The table has no such column, so these records would fail; set the option unknownFields to add or ignore";
  return { field, types, storedAs: "nothing", lossless: false, note };
}

/** The columns that every row needs and no record of the sample has. */
function describeMissing({ table, required }: PlannedTable, fields: readonly FieldSample[]): FieldMapping[] {
  const given = new Set(fields.map(({ field }) => field));
  return table.columns
    .filter(({ name, field }) => required.has(name) && !given.has(field))
    .map((column) => refusedField(column, { field: column.field, types: [], values: [] }, notGiven(column)));
}

function notGiven({ name }: Column): string {
  return `The column "${name}" is NOT NULL and has no default, so records without this field would fail; add it in a transform`;
}

function refusedField(column: Column, { field, types }: FieldSample, note: string): FieldMapping {
  return { field, types, storedAs: storedAs(column), lossless: false, note };
}

/** Why the id of a record of the sample, or the fields that are the key, would be refused; `undefined` when none would. */
function idTrouble({ table }: PlannedTable, records: readonly P2PRecord[]): string | undefined {
  const key = table.key.columns.map(({ column }) => column);
  // A column `id` is described by its values.
  if (key.length === 1 && key[0]!.field === "id") return undefined;
  for (const record of records) {
    const fields = ["id", ...key.map(({ field }) => field).filter((field) => getField(record, field) !== undefined)];
    const named = Object.fromEntries(fields.map((field) => [field, getField(record, field)])) as P2PRecord;
    try {
      foreignShape(table, fields, { ignoreUnknown: true, twin: false }).encode(named, [], 0);
    } catch (error) {
      // What a column cannot hold is told of that field.
      if (!isP2PError(error, "TYPE_MISMATCH") || key.length === 0) return messageOf(error);
    }
  }
  return undefined;
}

function newColumn(name: string, declared: string): Column {
  const kind = kindOf(declared, false, false);
  return {
    name,
    declared,
    kind,
    field: name,
    affinity: "none",
    notNull: false,
    generated: false,
    optional: false,
    byCodePoint: true,
  };
}

/** @param twin whether the records come from a table with the same columns. */
function describeColumn(column: Column, sample: FieldSample, twin: boolean): FieldMapping {
  const { field, types, values } = sample;
  if (column.notNull && values.includes(null)) {
    const note = `The column "${column.name}" is NOT NULL, so records with null there would fail; give a value in a transform`;
    return refusedField(column, sample, note);
  }
  for (const value of values) {
    let cell: SqlValue;
    try {
      cell = storeCell(column, value, twin);
    } catch (error) {
      return refusedField(column, sample, messageOf(error));
    }
    // What only a copy of the very table can hold was seen to come back.
    if (storeForeign(column.kind, value) === REFUSED) continue;
    const back = readBack(column, cell);
    if (valuesEqual(back, value)) continue;
    return refusedField(column, sample, `A ${valueType(value)} would come back as a ${valueType(back)}`);
  }
  return { field, types, storedAs: storedAs(column), lossless: true };
}

function storedAs({ declared }: Column): string {
  return declared === "" ? "no type" : declared;
}

/** What a cell would be when it is read from another's column again. */
function readBack({ kind, affinity }: Column, cell: SqlValue): P2PValue {
  const plain = typeof cell === "bigint" && Number.isSafeInteger(Number(cell)) ? Number(cell) : cell;
  const kept = plain === 0 && affinity !== "none" ? 0 : plain;
  return decoders[kind]?.(kept) ?? kept;
}
