import type { P2PRecord } from "@omni/p2p-core/starter";
import type { SqlValue } from "../client/sql.ts";
import type { Column } from "../client/table.ts";
import type { ColumnKind } from "../types.ts";
import type { Parameter } from "../values/code-generation.ts";

/**
 * How records with the same fields in the same order become the parameters of a statement. Most records of a batch
 * have one shape, so what depends on the fields alone is found out once.
 */
export interface Shape {
  /** The fields that have a value, in their order. */
  readonly fields: readonly string[];
  /** The columns that are written, in the order of the parameters; the sidecar is none of them. */
  readonly columns: readonly Column[];
  /** Whether the rowid is written, before the columns. */
  readonly writesRowid: boolean;
  /** Whether the sidecar is written, after the columns. */
  readonly writesSidecar: boolean;
  /** The SQL of its statements, by mode and number of records. */
  readonly statements: Map<string, string>;
  /** Whether a record has just these fields, in any order. */
  fits(record: P2PRecord): boolean;
  /**
   * Puts the parameters of a record into a list, from a offset on.
   *
   * @throws P2PError `TYPE_MISMATCH` or `INVALID_RECORD` when the table cannot hold it.
   */
  encode(record: P2PRecord, params: SqlValue[], offset: number): void;
}

/** How values of a kind mostly are, and are stored as they are then. */
export function usualOf(kind: ColumnKind): Parameter["usual"] {
  switch (kind) {
    case "text":
    case "boolean":
      return kind;
    case "number":
    case "integer":
    case "real":
    case "numeric":
      return "number";
    case "bigint":
    case "timestamp":
    case "blob":
    case "any":
    case "date":
    case "json":
      return "other";
  }
}
