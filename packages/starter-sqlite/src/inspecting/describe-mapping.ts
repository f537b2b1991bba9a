import { stat } from "node:fs/promises";
import {
  type FieldMapping,
  type FieldSample,
  type OpenContext,
  P2PError,
  type P2PRecord,
  type P2PValue,
  sampleFields,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";
import { assertTarget, openStore } from "../client/open.ts";
import { assertWritable, canBeColumn, declaredType, idType, takenNames } from "../client/schema.ts";
import type { Column, Table } from "../client/table.ts";
import type { SqliteEndpoint } from "../endpoint.ts";
import { requireTable } from "../query/relation.ts";
import { kindOf, SIDECAR } from "../types.ts";
import { decoders } from "../values/decode.ts";
import { REFUSED, refusal, storeForeign } from "../values/foreign-values.ts";
import { isPlainId } from "../values/own-ids.ts";
import { storeOwn, UNREPRESENTABLE } from "../values/own-values.ts";

/** What the fields of some records would become in a table, without writing any. */
export async function describeFields(
  endpoint: SqliteEndpoint,
  tableName: string,
  sample: readonly P2PRecord[],
  context: OpenContext,
): Promise<FieldMapping[]> {
  await assertTakesRecords(endpoint, tableName, context);
  const table = await existingTable(endpoint, tableName, context);
  const fields = sampleFields(sample);
  if (table !== undefined && !table.own) return fields.map((field) => describeForeign(table, field, endpoint));
  const taken = table === undefined ? new Set(["id", SIDECAR]) : takenNames(table);
  return fields.map((field) => describeOwn(table, field, taken, sample));
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

async function existingTable(endpoint: SqliteEndpoint, name: string, context: OpenContext): Promise<Table | undefined> {
  context.signal.throwIfAborted();
  const file = await stat(endpoint.file).catch(() => undefined);
  if (file === undefined) return undefined;
  const store = await openStore(endpoint, { ...context, role: "source" });
  try {
    return await store.patiently("read", context.signal, () => store.table(name));
  } finally {
    store.close();
  }
}

function describeOwn(
  table: Table | undefined,
  { field, types, values }: FieldSample,
  taken: Set<string>,
  sample: readonly P2PRecord[],
): FieldMapping {
  const column = table?.columns.find((candidate) => candidate.field === field);
  const fits = column !== undefined || field === "id" || canBeColumn(field, taken, true);
  if (!fits) {
    const note = "SQLite has no column for this name beside the others, so it goes into the sidecar column as JSON";
    return { field, types, storedAs: SIDECAR, lossless: true, note };
  }
  if (column === undefined) taken.add(field);
  const declared = column?.declared ?? (field === "id" ? idType(sample) : declaredType(new Set(types)));
  const kind = column?.kind ?? kindOf(declared, true, false);
  const isPlain =
    field === "id"
      ? values.every((id) => isPlainId(declared === "INTEGER" ? "integer" : kind, id as P2PRecord["id"]))
      : values.every((value) => storeOwn(kind, value) !== UNREPRESENTABLE);
  const type = declared === "" ? "no type" : declared;
  if (isPlain) return { field, types, storedAs: type, lossless: true };
  const note = `What the column cannot say of these values stands in the sidecar column ${SIDECAR}`;
  return { field, types, storedAs: `${type}, ${SIDECAR}`, lossless: true, note };
}

function describeForeign(table: Table, sample: FieldSample, { options }: SqliteEndpoint): FieldMapping {
  const { field, types } = sample;
  const key = table.key.columns;
  const column =
    table.columns.find((candidate) => candidate.field === field) ??
    (field === "id" && key.length === 1 ? key[0]!.column : undefined);
  if (column?.generated) {
    return { field, types, storedAs: "nothing", lossless: false, note: "The column is generated, and is not written" };
  }
  if (column !== undefined) return describeColumn(column, sample);
  if (field === "id") {
    const what = key.length === 0 ? "the rowid" : `the columns ${key.map(({ column: { name } }) => name).join(", ")}`;
    return { field, types, storedAs: what, lossless: true };
  }
  if (options.unknownFields === "add") {
    const declared = declaredType(new Set(types));
    return { ...describeColumn(newColumn(field, declared), sample), note: "A column would be added" };
  }
  const note =
    options.unknownFields === "ignore"
      ? "The table has no such column, and the option unknownFields is ignore"
      : "The table has no such column, so these records would fail; set the option unknownFields to add or ignore";
  return { field, types, storedAs: "nothing", lossless: false, note };
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

function describeColumn(column: Column, { field, types, values }: FieldSample): FieldMapping {
  const storedAs = column.declared === "" ? "no type" : column.declared;
  const refused = values.find((value) => storeForeign(column.kind, value) === REFUSED);
  if (refused !== undefined) {
    return { field, types, storedAs, lossless: false, note: refusal(column.name, column.declared, refused) };
  }
  const changed = values.find((value) => !valuesEqual(readBack(column, value), value));
  if (changed === undefined) return { field, types, storedAs, lossless: true };
  const note = `A ${valueType(changed)} would come back as a ${valueType(readBack(column, changed))}`;
  return { field, types, storedAs, lossless: false, note };
}

/** What a value would be when it is read from another's column again. */
function readBack({ kind, affinity }: Column, value: P2PValue): P2PValue {
  const stored = storeForeign(kind, value) as P2PValue;
  const plain = typeof stored === "bigint" && Number.isSafeInteger(Number(stored)) ? Number(stored) : stored;
  const cell = plain === 0 && affinity !== "none" ? 0 : plain;
  return decoders[kind]?.(cell) ?? cell;
}
