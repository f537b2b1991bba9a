import type { P2PRecord } from "@omni/p2p-core";
import type { SqlValue } from "./sql.ts";
import type { Column } from "./table.ts";

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
  /**
   * Adds the parameters of a record.
   *
   * @throws P2PError `TYPE_MISMATCH` or `INVALID_RECORD` when the table cannot hold it.
   */
  encode(record: P2PRecord, params: SqlValue[]): void;
}

/** Whether a record has exactly these fields in this order. */
export function hasFields(record: P2PRecord, fields: readonly string[]): boolean {
  let at = 0;
  for (const field in record) {
    if (fields[at] !== field || record[field] === undefined) return false;
    at++;
  }
  return at === fields.length;
}

/** The fields of a record that have a value. */
export function definedFields(record: P2PRecord): string[] {
  return Object.keys(record).filter((field) => record[field] !== undefined);
}
