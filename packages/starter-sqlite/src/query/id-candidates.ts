import { decodeJson, encodeJson, type P2PValue } from "@omni/p2p-core/starter";
import { isInt64, quote, type Sql, type SqlValue, tuples } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import type { ColumnKind } from "../types.ts";
import { storeId } from "../values/own-ids.ts";
import { storeDate } from "../values/own-values.ts";
import { isNumericText } from "../values/visible-value.ts";

/** A key as it is stored: a cell for each of its columns. */
export type StoredKey = readonly SqlValue[];

/**
 * Point look-ups: how rows are found by the canonical texts of their ids, through the index of the key wherever there is one.
 */
export interface IdCandidates {
  /** Cells of a key. */
  readonly width: number;
  /** Whether every row that is found has one of the texts; else there may be others among them. */
  readonly exact: boolean;
  /** The stored keys of every row whose id may have this text. */
  keysOf(text: string): readonly StoredKey[];
  /** Finds the rows with these keys, of which there is one at least. */
  condition(keys: readonly StoredKey[]): Sql;
}

export function idCandidates(table: Table): IdCandidates {
  const { columns, searchable } = table.key;
  const [first, ...others] = columns;
  if (first === undefined) {
    const keysOf = (text: string) => [integerOf(text)].filter((rowid) => rowid !== undefined).map((rowid) => [rowid]);
    return { width: 1, exact: true, keysOf, condition: (keys) => oneOf(table.rowid!, keys) };
  }
  // An index in a collation that only another program has cannot be asked.
  const side = ({ name }: Column) => (searchable ? quote(name) : `${quote(name)} COLLATE BINARY`);
  if (others.length === 0) {
    const { column } = first;
    const cells = table.own ? ownCells : foreignCells;
    const keysOf = (text: string) => cells(column.kind, text).map((cell) => [cell]);
    return { width: 1, exact: table.own, keysOf, condition: (keys) => oneOf(side(column), keys) };
  }
  const sides = `(${columns.map(({ column }) => side(column)).join(", ")})`;
  return {
    width: columns.length,
    exact: false,
    keysOf: (text) => compositeKeys(text, columns.length),
    condition: (keys) => ({ text: `${sides} IN (VALUES ${tuples(keys)})`, params: keys.flat() }),
  };
}

/**
 * Whether a row with this id may be missed by {@link idCandidates}: text that is not valid UTF-8 is read with U+FFFD in it,
 * which does not lead back to it, and a column of JSON has several texts for one value.
 */
export function mayBeMissed({ key }: Table, text: string): boolean {
  return (
    key.columns.length > 0 && (text.includes("\ufffd") || key.columns.some(({ column }) => column.kind === "json"))
  );
}

function oneOf(side: string, keys: readonly StoredKey[]): Sql {
  return { text: `${side} IN (${keys.map(() => "?").join(", ")})`, params: keys.flat() };
}

/** What a table of ours holds for an id with this text, also where others have written it. */
function ownCells(kind: ColumnKind, text: string): SqlValue[] {
  const cells: SqlValue[] = [storeId(kind, text)];
  if (kind === "text") return [...cells, ...bytesOf(text)];
  if (kind !== "bigint") return cells;
  const number = Number(text);
  if (String(number) === text && !Number.isInteger(number)) cells.push(number);
  if (!isNumericText(text)) cells.push(text);
  return [...cells, ...bytesOf(text)];
}

/** Every cell whose value may have this canonical text. */
function foreignCells(kind: ColumnKind, text: string): SqlValue[] {
  const cells: SqlValue[] = [text];
  const integer = integerOf(text);
  if (integer !== undefined) cells.push(integer);
  const number = Number(text);
  // The text of a large real number is not the integer that it is.
  if (text !== "" && !Number.isNaN(number) && !(integer !== undefined && Number.isSafeInteger(number)))
    cells.push(number);
  if (kind === "boolean" && (text === "true" || text === "false")) cells.push(text === "true" ? 1 : 0);
  return [...cells, ...bytesOf(text)];
}

function bytesOf(text: string): Uint8Array[] {
  return /^([0-9a-f]{2})*$/.test(text) ? [new Uint8Array(Buffer.from(text, "hex"))] : [];
}

function integerOf(text: string): bigint | undefined {
  if (!/^-?\d{1,19}$/.test(text)) return undefined;
  const integer = BigInt(text);
  return isInt64(integer) ? integer : undefined;
}

/** The id of a composite key is the JSON text of its values. */
function compositeKeys(text: string, width: number): StoredKey[] {
  const parts = parseCompositeId(text);
  if (parts?.length !== width) return [];
  const key = parts.map(cellOfPart);
  return key.includes(null) ? [] : [key];
}

function cellOfPart(part: P2PValue): SqlValue {
  switch (typeof part) {
    case "boolean":
      return Number(part);
    case "bigint":
      return isInt64(part) ? part : null;
    case "string":
    case "number":
      return part;
    default:
      if (part === null || part instanceof Uint8Array) return part;
      return part instanceof Date ? storeDate(part) : encodeJson(part);
  }
}

/** The key values that the id of a composite key stands for; `undefined` when the text is none. */
export function parseCompositeId(text: string): readonly P2PValue[] | undefined {
  if (text[0] !== "[") return undefined;
  try {
    const parts = decodeJson(text);
    return Array.isArray(parts) ? (parts as readonly P2PValue[]) : undefined;
  } catch {
    return undefined;
  }
}
