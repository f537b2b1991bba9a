/** Names of columns: which fields can have one. */
import { SIDECAR } from "../types.ts";

/** Longer names are cut by the server (NAMEDATALEN less one). */
const MOST_NAME_BYTES = 63;

const SYSTEM_COLUMNS = new Set(["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", SIDECAR]);

/** Whether a field can be a column by its own name. */
export function isColumnName(field: string): boolean {
  return (
    field !== "" &&
    !field.includes("\0") &&
    !SYSTEM_COLUMNS.has(field) &&
    Buffer.byteLength(field) <= MOST_NAME_BYTES &&
    field.isWellFormed()
  );
}
