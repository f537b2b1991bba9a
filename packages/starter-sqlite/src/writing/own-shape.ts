import type { P2PRecord, P2PValue } from "@omni/p2p-core/starter";
import type { SqlValue } from "../client/sql.ts";
import type { Column, Table } from "../client/table.ts";
import { type Encode, makeEncode, makeFits } from "../values/code-generation.ts";
import { isPlainId, storeId } from "../values/own-ids.ts";
import { storeOwn, UNREPRESENTABLE } from "../values/own-values.ts";
import { SidecarWriter } from "../values/sidecar.ts";
import { noteOf, visibleCell } from "../values/visible-value.ts";
import { type Shape, usualOf } from "./table-shape.ts";

/**
 * The shape of records for a table of ours. Every column is written, so that a record is replaced as a whole; what
 * the columns cannot say goes into the sidecar.
 */
export class OwnShape implements Shape {
  readonly fields: readonly string[];
  readonly columns: readonly Column[];
  readonly writesRowid = false;
  readonly writesSidecar = true;
  readonly statements = new Map<string, string>();
  readonly fits: Shape["fits"];
  readonly #idColumn: Column;
  readonly #encode: Encode;
  /** Fields that have no column. */
  readonly #homeless: readonly string[];
  /** Fields that are absent, in columns where NULL would say that they are null. */
  readonly #absent: readonly string[];
  readonly #sidecar = new SidecarWriter();
  /** The sidecar of records that the columns can say, but for the absent fields. */
  readonly #usual: string | null;
  #isUsual = true;

  constructor(table: Table, fields: readonly string[]) {
    const given = new Set(fields);
    const idColumn = table.key.columns[0]!.column;
    this.fields = fields;
    this.columns = table.columns;
    this.fits = makeFits(fields);
    this.#idColumn = idColumn;
    this.#encode = makeEncode(
      table.columns.map((column) => ({
        field: given.has(column.field) ? column.field : undefined,
        usual: (column === idColumn && column.kind !== "text") || !isOurs(column.kind) ? "other" : usualOf(column.kind),
      })),
    );
    this.#homeless = fields.filter((field) => !table.columns.some((column) => column.field === field));
    this.#absent = table.columns.filter((column) => !column.optional && !given.has(column.field)).map((c) => c.field);
    this.#restart();
    this.#usual = this.#sidecar.text();
  }

  encode(record: P2PRecord, params: SqlValue[], offset: number): void {
    this.#isUsual = true;
    this.#encode(record, params, offset, this.#store);
    for (const field of this.#homeless) this.#note(field, record[field]!);
    params[offset + this.columns.length] = this.#isUsual ? this.#usual : this.#sidecar.text();
  }

  readonly #store = (at: number, value: P2PValue): SqlValue => {
    const column = this.columns[at]!;
    const { field, kind, optional } = column;
    if (column === this.#idColumn) {
      const id = value as P2PRecord["id"];
      if (!isPlainId(kind, id)) this.#note(field, id);
      return storeId(kind, id);
    }
    if (value === null) {
      if (optional) this.#note(field, null);
      return null;
    }
    const stored = storeOwn(kind, value);
    if (stored !== UNREPRESENTABLE) return stored;
    const cell = visibleCell(column, value);
    const note = noteOf(column, value, cell);
    if (note === "value") this.#note(field, value);
    else if (note !== "nothing") this.#begin().setType(field, note);
    return cell;
  };

  #note(field: string, value: P2PValue): void {
    this.#begin().set(field, value);
  }

  /** The sidecar of the record at hand, which is not the usual one. */
  #begin(): SidecarWriter {
    if (this.#isUsual) this.#restart();
    this.#isUsual = false;
    return this.#sidecar;
  }

  #restart(): void {
    this.#sidecar.reset();
    for (const field of this.#absent) this.#sidecar.addAbsent(field);
  }
}

/** Whether columns of a kind are made here; those that others have added do with numbers as they like. */
function isOurs(kind: Column["kind"]): boolean {
  return kind === "number" || kind === "text" || kind === "boolean";
}
