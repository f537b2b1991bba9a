/** The row shape of tables that others made. */
import {
  encodeJson,
  getField,
  idKey,
  P2PError,
  type P2PId,
  type P2PRecord,
  type P2PValue,
  suggest,
} from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import type { Column, Table } from "../client/table.ts";
import { parseCompositeId } from "../values/composite-id.ts";
import { baseOf } from "../values/decode.ts";
import { encodeCell, mismatch } from "../values/encode.ts";
import { type RowShape, type WrittenColumn, writtenColumn } from "./row-shape.ts";

/**
 * Only columns of fields that the records have are written, so that the server's defaults hold for the others. Key columns come from
 * their fields where the records have them, else from the id.
 */
export class ForeignShape implements RowShape {
  readonly columns: readonly WrittenColumn[];
  readonly signature: string;
  readonly keyWidth: number;
  readonly #table: Table;
  readonly #fields: readonly string[];
  readonly #key: readonly Column[];
  readonly #given: readonly boolean[];
  readonly #plain: readonly Column[];
  readonly #unknown: string | undefined;
  readonly #keyIsId: boolean;

  /** @param fields of the records that it is for, in their order. */
  constructor(table: Table, fields: readonly string[], ignoreUnknown: boolean) {
    const key = table.key.columns.map(({ column }) => column);
    const known = new Map(table.columns.map((column) => [column.field, column]));
    this.#table = table;
    this.#fields = fields;
    this.#key = key;
    this.#keyIsId = key.length === 1 && key[0]!.field === "id";
    this.#given = key.map((column) => fields.includes(column.field));
    this.#unknown = ignoreUnknown ? undefined : fields.find((field) => field !== "id" && !known.has(field));
    const given = new Set(fields);
    this.#plain = table.columns.filter(
      (column) => given.has(column.field) && !column.generated && !key.includes(column),
    );
    this.keyWidth = key.length;
    this.columns = [
      ...key.map((column) => writtenColumn(column, true)),
      ...this.#plain.map((column) => writtenColumn(column, false)),
    ];
    this.signature = this.#plain.map(({ name }) => JSON.stringify(name)).join();
  }

  /** Whether there are fields that the table has no column for. */
  get lacksColumns(): boolean {
    return this.#unknown !== undefined;
  }

  fits(record: P2PRecord): boolean {
    const fields = this.#fields;
    const keys = Object.keys(record);
    if (keys.length !== fields.length) return false;
    for (let at = 0; at < keys.length; at++) {
      if (keys[at] !== fields[at] || record[keys[at]!] === undefined) return false;
    }
    return true;
  }

  encode(record: P2PRecord): Cell[] {
    if (this.#unknown !== undefined) throw unknownField(this.#table, this.#unknown);
    const cells = this.encodeKey(record);
    for (const column of this.#plain) cells.push(encodeCell(column, getField(record, column.field)!));
    return cells;
  }

  /** The cells of the key alone. */
  encodeKey(record: P2PRecord): Cell[] {
    const key = this.#key;
    const values = this.#keyIsId ? [record.id] : keyValues(key, this.#given, record);
    if (key.length === 1) return [encodeId(key[0]!, values[0] as P2PId)];
    return key.map((column, at) => encodeCell(column, values[at]!));
  }
}

/**
 * What a key holds for an id.
 *
 * @throws P2PError `TYPE_MISMATCH` also when it would come back as another id, as a bigint whose digits a number does not show: a record of
 * that id would be taken for another one, and this one for missing.
 */
function encodeId(column: Column, id: P2PId): Cell {
  const { name } = baseOf(column.type);
  if (typeof id === "bigint" && (name === "float4" || name === "float8") && idKey(Number(id)) !== idKey(id)) {
    throw mismatch(column, id);
  }
  return encodeCell(column, id);
}

/** The values of the key columns, from the fields, checked against the id, or from the id. */
function keyValues(key: readonly Column[], given: readonly boolean[], record: P2PRecord): readonly P2PValue[] {
  const values = key.map((column, at) => (given[at] ? getField(record, column.field) : undefined));
  const missing = values.includes(undefined);
  for (const [at, value] of values.entries()) {
    if (value === null) throw invalid(`the key field "${key[at]!.field}" is null`);
  }
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
    const same = parts?.length === key.length && parts.every((part, at) => isSameKey(part, values[at]!));
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
    if (parts[at] === null) throw invalid(`a part of its id ${show(record.id)} is null`);
    if (value !== undefined && !isSameKey(parts[at]!, value)) {
      throw invalid(`its id says ${show(record.id)} and its field "${key[at]!.field}" says ${show(value)}`);
    }
  }
  return parts;
}

function isSameKey(a: P2PValue, b: P2PValue): boolean {
  return a !== null && b !== null && !Array.isArray(a) && !Array.isArray(b) && idKey(a as P2PId) === idKey(b as P2PId);
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
