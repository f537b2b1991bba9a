import {
  encodeJson,
  idKey,
  P2PError,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  suggest,
  TaggedValue,
} from "@omni/p2p-core/starter";
import type { SqlValue } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { parseCompositeId } from "../query/id-candidates.ts";
import { makeEncode, makeFits } from "../values/code-generation.ts";
import { REFUSED, refusal, storeForeign } from "../values/foreign-values.ts";
import { givesBack, visibleCell } from "../values/visible-value.ts";
import { type Shape, usualOf } from "./table-shape.ts";

/**
 * The shape of records for a table that others made. Only columns of fields that the records have are written. Key
 * columns come from their fields where the records have them, else from the id.
 *
 * @param options `twin` says that the records come from a table with the same columns: what a cell held there it can
 * hold here, also a text in a column of integers.
 */
export function foreignShape(
  table: Table,
  fields: readonly string[],
  { ignoreUnknown, twin }: { readonly ignoreUnknown: boolean; readonly twin: boolean },
): Shape {
  const key = table.key.columns.map(({ column }) => column);
  const keyIsId = key.length === 1 && key[0]!.field === "id";
  const known = new Map(table.columns.map((column) => [column.field, column]));
  const unknown = ignoreUnknown ? undefined : fields.find((field) => field !== "id" && !known.has(field));
  const plain = fields
    .map((field) => known.get(field))
    .filter((column) => column !== undefined && !column.generated && !key.includes(column)) as Column[];
  const columns = [...key, ...plain];
  const given = key.map((column) => fields.includes(column.field));

  const store = (at: number, value: P2PValue): SqlValue => storeCell(plain[at]!, value, twin);
  const encodePlain = makeEncode(plain.map(({ field, kind }) => ({ field, usual: usualOf(kind) })));

  const encode = (record: P2PRecord, params: SqlValue[], offset: number): void => {
    if (unknown !== undefined) throw unknownField(table, unknown);
    let next = offset;
    if (key.length === 0) params[next++] = storeRowid(record.id);
    else if (keyIsId) params[next++] = storeId(key[0]!, record.id, twin);
    else if (key.length === 1) params[next++] = storeId(key[0]!, keyValues(key, given, record)[0] as P2PId, twin);
    else
      for (const [at, value] of keyValues(key, given, record).entries())
        params[next++] = storeCell(key[at]!, value, twin);
    encodePlain(record, params, next, store);
  };
  return {
    fields,
    columns,
    writesRowid: key.length === 0,
    writesSidecar: false,
    statements: new Map(),
    fits: makeFits(fields),
    encode,
  };
}

/** The values of the key columns, from the fields, checked against the id, or from the id. */
function keyValues(key: readonly Column[], given: readonly boolean[], record: P2PRecord): readonly P2PValue[] {
  const values = key.map((column, at) => (given[at] ? record[column.field]! : undefined));
  const missing = values.includes(undefined);
  for (const [at, value] of values.entries())
    if (value === null) throw invalid(`the key field "${key[at]!.field}" is null`);
  if (key.length === 1) {
    if (missing) return [record.id];
    const [value] = values as [P2PId];
    if (idKey(value) === idKey(record.id)) return [value];
    throw invalid(
      `its id says ${show(record.id)} and its field "${key[0]!.field}" says ${show(value)}; make them agree`,
    );
  }
  const parts = typeof record.id === "string" ? parseCompositeId(record.id) : undefined;
  if (!missing) {
    const same = parts?.length === key.length && parts.every((part, at) => sameKey(part, values[at]!));
    if (same) return values as P2PValue[];
    throw invalid(
      `its id says ${show(record.id)} and its key fields say ${encodeJson(values as P2PValue[])}; make them agree`,
    );
  }
  const names = key.map((column) => `"${column.field}"`).join(", ");
  if (parts?.length !== key.length) {
    throw invalid(`it lacks fields of the key (${names}), and its id ${show(record.id)} is not a JSON list of them`);
  }
  for (const [at, value] of values.entries()) {
    if (value !== undefined && !sameKey(parts[at]!, value)) {
      throw invalid(`its id says ${show(record.id)} and its field "${key[at]!.field}" says ${show(value)}`);
    }
  }
  return parts;
}

function sameKey(a: P2PValue, b: P2PValue): boolean {
  return a !== null && b !== null && !Array.isArray(a) && !Array.isArray(b) && idKey(a as P2PId) === idKey(b as P2PId);
}

/**
 * What a column of another's table holds for a value.
 *
 * @throws P2PError `TYPE_MISMATCH` when it cannot hold it without loss.
 */
export function storeCell(column: Column, value: P2PValue, twin: boolean): SqlValue {
  if (typeof value === "string" && column.kind === "text") return value;
  const stored = storeForeign(column.kind, value);
  if (stored === REFUSED && twin) {
    const cell = visibleCell(column, value);
    if (givesBack(column, value, cell)) return cell;
  }
  if (stored === REFUSED) throw new P2PError("TYPE_MISMATCH", refusal(column.name, column.declared, value));
  return stored;
}

/**
 * What a key holds for an id. One of a type that the column lacks is kept by its text, by which stores know ids.
 *
 * @throws P2PError `TYPE_MISMATCH` when it would come back as another id: a record of that id would be taken for another one,
 * and this one for missing.
 */
function storeId(column: Column, id: P2PId, twin: boolean): SqlValue {
  const cell = storeCell(column, id instanceof TaggedValue ? idKey(id) : id, twin);
  const back = column.kind === "boolean" ? Boolean(cell) : (cell as P2PId);
  if (idKey(back) === idKey(id)) return cell;
  throw new P2PError("TYPE_MISMATCH", refusal(column.name, column.declared, id));
}

/** A table without a key names its rows by number. */
function storeRowid(id: P2PId): SqlValue {
  const stored = typeof id === "boolean" ? REFUSED : storeForeign("integer", id);
  if (typeof stored === "bigint" || (typeof stored === "number" && Number.isSafeInteger(stored))) return stored;
  throw new P2PError(
    "TYPE_MISMATCH",
    `The table has no key, so an id must be an integer (its rowid), not ${show(id)}; give the table a PRIMARY KEY or name one by the option key`,
  );
}

function unknownField(table: Table, field: string): P2PError {
  const names = table.columns.map((column) => column.field);
  return new P2PError(
    "TYPE_MISMATCH",
    `The table "${table.name}" has no column for the field "${field}"${suggest(field, names)}; leave it out in a transform, ` +
      "or set the option unknownFields to add or ignore",
  );
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_RECORD", `The record cannot be written: ${what}`);
}

function show(value: P2PValue): string {
  return encodeJson(value).slice(0, 80);
}
