/** The row shape of tables of ours. */
import type { P2PId, P2PRecord } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import type { Column, Table } from "../client/table.ts";
import { isPlainId, type OwnIdType, storeId } from "../values/own-ids.ts";
import { storeOwn, UNREPRESENTABLE } from "../values/own-values.ts";
import { ownIdType } from "../values/row-plan.ts";
import { SidecarWriter } from "../values/sidecar.ts";
import { visibleCell } from "../values/visible-value.ts";
import { type RowShape, SIDECAR_COLUMN, type WrittenColumn, writtenColumn } from "./row-shape.ts";

/** A column with what is known of its field beforehand. */
interface Place {
  readonly field: string;
  readonly type: string;
  readonly optional: boolean;
  /** Every object inherits something by this name. */
  readonly inherited: boolean;
}

/**
 * Every column is written, so that a record is replaced as a whole, and records of all shapes go into one statement; what the
 * columns cannot say goes into the sidecar.
 */
export class OwnShape implements RowShape {
  readonly columns: readonly WrittenColumn[];
  readonly signature = "";
  readonly keyWidth = 1;
  /** Fields that came and have no column. */
  readonly unhoused = new Set<string>();
  readonly #idType: OwnIdType;
  readonly #places: readonly Place[];
  /** Fields that have a column, those that the server computes among them. */
  readonly #housed: ReadonlySet<string>;
  readonly #sidecar = new SidecarWriter();

  constructor(table: Table) {
    const id = table.key.columns[0]!.column;
    const others = table.columns.filter((column) => column !== id && !column.generated);
    this.#idType = ownIdType(table);
    this.#places = others.map(placeOf);
    this.#housed = new Set(table.columns.map(({ field }) => field));
    this.columns = [writtenColumn(id, true), ...others.map((column) => writtenColumn(column, false)), SIDECAR_COLUMN];
  }

  fits(): boolean {
    return true;
  }

  encode(record: P2PRecord): Cell[] {
    const places = this.#places;
    const sidecar = this.#sidecar;
    sidecar.reset();
    const cells = new Array<Cell>(places.length + 2);
    cells[0] = this.#id(record.id);
    let housed = 1;
    for (let at = 0; at < places.length; at++) {
      const { field, type, optional, inherited } = places[at]!;
      const value = inherited && !Object.hasOwn(record, field) ? undefined : record[field];
      if (value === undefined) {
        if (!optional) sidecar.addAbsent(field);
        cells[at + 1] = null;
        continue;
      }
      housed++;
      if (value === null) {
        if (optional) sidecar.set(field, null);
        cells[at + 1] = null;
        continue;
      }
      const stored = storeOwn(type, value);
      if (stored === UNREPRESENTABLE) {
        sidecar.set(field, value);
        cells[at + 1] = visibleCell(type, value);
      } else {
        cells[at + 1] = stored;
      }
    }
    const fields = Object.keys(record);
    if (fields.length !== housed) {
      for (const field of fields) {
        const value = record[field];
        if (value === undefined || this.#housed.has(field)) continue;
        sidecar.set(field, value);
        this.unhoused.add(field);
      }
    }
    cells[places.length + 1] = sidecar.text();
    return cells;
  }

  #id(id: P2PId): string {
    if (!isPlainId(this.#idType, id)) this.#sidecar.set("id", id);
    return storeId(this.#idType, id);
  }
}

function placeOf({ field, type, optional }: Column): Place {
  return { field, type: type.name, optional, inherited: field in Object.prototype };
}
