/** Row shapes: how records become the cells that are written. */
import type { P2PRecord } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import { qualified } from "../client/sql.ts";
import type { Column } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { baseOf } from "../values/decode.ts";

/** A column that is written. */
export interface WrittenColumn {
  readonly name: string;
  /**
   * The type that a text is cast to. It is that of the column without its length: a cast would cut a text that is too long, which an
   * assignment refuses. Of a domain it is the one under it, for the same reason.
   */
  readonly type: string;
  readonly isKey: boolean;
  /** An identity column that takes values only where a statement insists. */
  readonly isAlwaysIdentity: boolean;
}

export function writtenColumn(column: Column, isKey: boolean): WrittenColumn {
  const type = baseOf(column.type);
  // The cast from text to regclass does not know "-", which is no table, as its input function does, by which other types go.
  const by = type.schema === "pg_catalog" && type.name === "regclass" ? '"pg_catalog"."bpchar"::' : "";
  return {
    name: column.name,
    type: `${by}${qualified(type)}`,
    isKey,
    isAlwaysIdentity: column.identity === "always",
  };
}

export const SIDECAR_COLUMN: WrittenColumn = {
  name: SIDECAR,
  type: '"pg_catalog"."json"',
  isKey: false,
  isAlwaysIdentity: false,
};

/** How records with the same fields become rows. */
export interface RowShape {
  /** In the order of the cells: those of the key, then the others in the order of the table. */
  readonly columns: readonly WrittenColumn[];
  /** A text that shapes with the same columns share. */
  readonly signature: string;
  /** Cells of the key. */
  readonly keyWidth: number;
  /** Whether the record is one of this shape. */
  fits(record: P2PRecord): boolean;
  /** @throws P2PError `TYPE_MISMATCH` or `INVALID_RECORD` when the table cannot hold the record. */
  encode(record: P2PRecord): Cell[];
}

/** One row on its way, with the place of its record in the batch. */
export interface PendingRow {
  readonly index: number;
  readonly cells: Cell[];
  /** The text of the key. */
  readonly key: string;
}

/** The text that two keys share only when they are one. */
export function keyText(cells: readonly Cell[], width: number): string {
  if (width === 1) return cells[0]!;
  let text = "";
  for (let at = 0; at < width; at++) {
    const cell = cells[at] ?? "";
    text += `${cell.length}:${cell}`;
  }
  return text;
}
