/** Row plans: what is selected of a table, and how its rows become records. */
import { encodeJson, P2PError, type P2PId, type P2PRecord, type P2PValue, setField } from "@omni/p2p-core/starter";
import type { Cell, Row } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { makeRecords } from "./code-generation.ts";
import { baseOf, type DecodeOptions, type Decoder, decoderOf, isTextType, ownDecoderOf } from "./decode.ts";
import { idOfCell, type OwnIdType, storeId } from "./own-ids.ts";
import { readSidecar } from "./sidecar.ts";
import { isVisibleCell } from "./visible-value.ts";

/** Types whose values have a text of their own each, as ids. */
const DISTINCT_TYPES: ReadonlySet<string> = new Set(["int2", "int4", "int8", "uuid", "oid"]);

/** In tables of ours their tags are taken for this library's own, whoever wrote them. */
const JSON_TYPES: ReadonlySet<string> = new Set(["json", "jsonb"]);

/** How the rows of one query become records. */
export class RowPlan {
  /** What stands after SELECT: the columns of the key first, in the key's order. */
  readonly select: readonly string[];
  /** Columns of the key, which a row begins with. */
  readonly keyWidth: number;
  /** Where the expressions stand in a row that were asked for beside the columns. */
  readonly extraAt: number;
  /** Whether no two rows can have ids of one text. */
  readonly distinctIds: boolean;
  readonly #table: Table;
  readonly #fields: ReadonlySet<string> | undefined;
  readonly #make: (row: Row) => P2PRecord;
  readonly #sidecarAt: number | undefined;
  /** Whether no cell can hold a value that no record may. */
  readonly #soundCells: boolean;
  /** Columns in which NULL means that the field is absent, with their places in a row. */
  readonly #optional: ReadonlyMap<string, number>;
  readonly #columnAt: ReadonlyMap<string, number>;

  /**
   * @param fields what the records must have beside the id; all when `undefined`.
   * @param extra expressions whose values are wanted besides, at the end of each row.
   */
  constructor(
    table: Table,
    fields: ReadonlySet<string> | undefined,
    { extra = [], ...options }: DecodeOptions & { readonly extra?: readonly string[] },
  ) {
    this.#table = table;
    this.#fields = fields;
    const key = table.key.columns.map(({ column }) => column);
    const wanted = table.columns.filter(
      (column) => !key.includes(column) && (fields === undefined || fields.has(column.field)),
    );
    const columns = [...key, ...wanted];
    const select = columns.map(({ name }) => quote(name));
    if (table.own) select.push(quote(SIDECAR));
    this.#sidecarAt = table.own ? columns.length : undefined;
    this.keyWidth = key.length;
    this.extraAt = select.length;
    this.select = [...select, ...extra];
    this.#columnAt = new Map(columns.map((column, at) => [column.field, at]));
    const decoders = columns.map((column) => (table.own ? ownDecoderOf(column, options) : decoderOf(column, options)));
    const cells = table.columns
      .filter(
        (column) =>
          column.field !== "id" &&
          columns.includes(column) &&
          (!key.includes(column) || fields === undefined || fields.has(column.field)),
      )
      .map((column) => ({
        field: column.field,
        at: columns.indexOf(column),
        decode: decoders[columns.indexOf(column)]!,
      }));
    // The id of a composite key is made here, and stands behind all that was selected.
    const idAt = key.length === 1 ? 0 : this.select.length;
    const make = makeRecords([{ field: "id", at: idAt, decode: idDecoder(table, key, decoders) }, ...cells]);
    const parts = decoders.slice(0, key.length);
    this.#make = key.length === 1 ? make : (row) => make([...row, compositeId(parts, row)]);
    this.#optional = new Map(columns.flatMap(({ field, optional }, at) => (optional ? [[field, at] as const] : [])));
    this.#soundCells = !table.own || !columns.some(({ type }) => JSON_TYPES.has(baseOf(type).name));
    this.distinctIds = hasDistinctIds(table);
  }

  /** Whether no value of a row can be one that no record may hold; the id is to be looked at all the same. */
  isSound(row: Row): boolean {
    return this.#soundCells && (this.#sidecarAt === undefined || row[this.#sidecarAt] === null);
  }

  /** The stored cells of the key of a row, which tell its position. */
  keyOf(row: Row): Cell[] {
    return row.slice(0, this.keyWidth);
  }

  /** Where the cell of a field stands in a row; `undefined` where it was not selected. */
  columnAt(field: string): number | undefined {
    return this.#columnAt.get(field);
  }

  /**
   * The record of a row; `undefined` when a part of its key is NULL.
   *
   * @throws P2PError `INVALID_RECORD` when a cell or the sidecar cannot be made out
   */
  record(row: Row): P2PRecord | undefined {
    for (let at = 0; at < this.keyWidth; at++) if (row[at] === null) return undefined;
    const record = this.#make(row);
    if (this.#sidecarAt === undefined) return record;
    const sidecar = row[this.#sidecarAt]!;
    return sidecar === null && this.#optional.size === 0 ? record : this.#completed(record, row, sidecar);
  }

  #completed(record: P2PRecord, row: Row, text: Cell): P2PRecord {
    const sidecar = text === null ? undefined : this.#sidecar(text, record.id);
    const stated = sidecar !== undefined && sidecar.absent.length > 0 ? new Set(sidecar.absent) : undefined;
    // Made anew, so that no field is deleted of the one there is, which would make it slow for all who read it.
    const made: Record<string, P2PValue> = {};
    for (const field of Object.keys(record)) {
      const at = this.#optional.get(field) ?? (stated?.has(field) ? this.#columnAt.get(field) : undefined);
      if (at === undefined || row[at] !== null) setField(made, field, record[field]!);
    }
    if (sidecar !== undefined) this.#applySidecar(made, sidecar.values as Record<string, P2PValue>, row);
    return made as P2PRecord;
  }

  #sidecar(text: string, id: P2PId) {
    try {
      return readSidecar(text);
    } catch (cause) {
      const which = encodeJson(id).slice(0, 80);
      throw new P2PError("INVALID_RECORD", `The column "${SIDECAR}" of the row ${which} holds no valid values`, {
        cause,
      });
    }
  }

  #applySidecar(record: Record<string, P2PValue>, values: Readonly<Record<string, P2PValue>>, row: Row): void {
    for (const field of Object.keys(values)) {
      const value = values[field]!;
      if (field === "id") {
        if (storeId(ownIdType(this.#table), value as P2PId) === row[0]) record.id = value;
        continue;
      }
      if (this.#fields !== undefined && !this.#fields.has(field)) continue;
      const column = this.#table.columns.find((candidate) => candidate.field === field);
      const cell = row[this.#columnAt.get(field) ?? -1] ?? null;
      // What others wrote over the cell is newer than the sidecar.
      if (column !== undefined && cell !== null && !isVisibleCell(column.type.name, value, cell)) continue;
      setField(record, field, value);
    }
  }
}

/** What the column `id` of a table of ours holds. */
export function ownIdType(table: Table): OwnIdType {
  return table.key.columns[0]!.column.type.name === "text" ? "text" : "bigint";
}

function idDecoder(table: Table, key: readonly Column[], decoders: readonly Decoder[]): Decoder {
  if (key.length !== 1) return (text) => text;
  if (!table.own) return decoders[0]!;
  const type = ownIdType(table);
  return (cell) => idOfCell(type, cell);
}

/** The id of a composite key is the JSON text of its values. */
function compositeId(decoders: readonly Decoder[], row: Row): string {
  return encodeJson(decoders.map((decode, at) => decode(row[at]!)));
}

function hasDistinctIds({ own, key }: Table): boolean {
  if (own) return true;
  if (!key.unique || key.columns.length === 0) return false;
  return key.columns.every(({ column: { type } }) => {
    const base = baseOf(type);
    return DISTINCT_TYPES.has(base.name) || isTextType(type);
  });
}
