/** Cursors, and the order that they are positions in. */
import {
  foreignCursor,
  fromJson,
  type JsonValue,
  P2PError,
  type P2PValue,
  TaggedValue,
  toJson,
} from "@omni/p2p-core/starter";
import { type KeyValue, quote, RawText, type SqlValue } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { type KeyColumn, rowidOf, type Table } from "../client/table.ts";
import { STORE } from "../types.ts";
import type { Term } from "./keyset.ts";

/**
 * A position in the order of a table, as cursors and partitions keep it. Rows with a rowid are read in its order, the
 * fastest there is. But VACUUM may number the rows of a table anew that has no INTEGER PRIMARY KEY (it keeps their
 * order), so the position in such a table holds the row's key too, and the schema version, which VACUUM raises.
 */
interface SavedCursor {
  readonly rowid?: JsonValue;
  readonly key?: JsonValue;
  readonly version?: number;
}

/** The order in which a table is read when the query names none. */
export function storageOrder(table: Table): Term[] {
  if (table.rowid !== undefined) return [{ text: rowidOf(table), descending: false, nullable: false }];
  return table.key.columns.map(({ column, collation, descending }) => ({
    text: `${quote(column.name)} COLLATE ${quote(collation)}`,
    descending,
    nullable: false,
  }));
}

/** Whether a row's position is its rowid while its key is something else. */
export function hasMovingRowids(table: Table): boolean {
  return table.rowid !== undefined && !table.key.isRowid;
}

/**
 * Serialises a position: a cursor.
 *
 * @param key the stored key of the row, where {@link hasMovingRowids}; a NULL in it makes it no anchor.
 * @param version the schema version in which the row is there.
 */
export function encodeCursor(
  table: Table,
  values: readonly KeyValue[],
  key: readonly KeyValue[] | undefined,
  version: number,
): JsonValue {
  const saved = values.map(keyToJson);
  if (table.rowid === undefined) return { key: saved };
  if (!hasMovingRowids(table)) return { rowid: saved[0]! };
  const anchor = key !== undefined && key.length > 0 && key.every(isAnchor) ? { key: key.map(keyToJson) } : {};
  return { rowid: saved[0]!, ...anchor, version };
}

/** Text that is not valid UTF-8 comes with U+FFFD in it, and does not lead back to its row. */
export function isAnchor(value: KeyValue): value is SqlValue {
  return value !== null && !(value instanceof RawText) && !(typeof value === "string" && value.includes("\ufffd"));
}

/** The tag of {@link RawText} in a cursor. */
const RAW_TEXT = "sqlite:text";

/** Serialises a value of a position. */
export function keyToJson(value: KeyValue): JsonValue {
  return toJson(value instanceof RawText ? new TaggedValue(RAW_TEXT, value.bytes) : value);
}

/**
 * The position that a cursor means, in the order of the table as it is now.
 *
 * @throws P2PError `CHECKPOINT_INVALID` when it is no position of this table, or when its row can no longer be found.
 */
export function decodeCursor(store: SqliteStore, table: Table, saved: JsonValue): KeyValue[] {
  const { rowid, key, version } = (typeof saved === "object" && saved !== null ? saved : {}) as SavedCursor;
  if (table.rowid === undefined) {
    const values = parseValues(key);
    if (values?.length !== table.key.columns.length) throw foreignCursor(STORE);
    return values;
  }
  const [number] = parseValues([rowid ?? null]) ?? [null];
  if (typeof number !== "number" && typeof number !== "bigint") throw foreignCursor(STORE);
  if (!hasMovingRowids(table) || version === store.schemaVersion()) return [number];
  const anchor = parseValues(key);
  const found = anchor?.every(isAnchor) && rowidOfKey(store, table, anchor);
  if (found !== undefined && found !== false) return [found];
  throw new P2PError(
    "CHECKPOINT_INVALID",
    `${store.endpoint.label}: the schema of the file was changed, or VACUUM was run on it, and the row at which reading ` +
      "stopped is no longer there, so that nobody can tell where to go on; start from the beginning",
  );
}

/** The rowid of the one row with this key. */
export function rowidOfKey(store: SqliteStore, table: Table, key: readonly SqlValue[]): SqlValue | undefined {
  const { columns } = table.key;
  if (columns.length === 0 || key.length !== columns.length || !table.key.searchable) return undefined;
  const equal = columns.map((column) => `${keyText(column)} = ?`).join(" AND ");
  const rowids = store
    .values(`SELECT ${rowidOf(table)} FROM main.${quote(table.name)} WHERE ${equal} LIMIT 2`, true)
    .all(...key);
  return rowids.length === 1 ? rowids[0] : undefined;
}

function keyText({ column, collation }: KeyColumn): string {
  return `${quote(column.name)} COLLATE ${quote(collation)}`;
}

/** Stored values from JSON; `undefined` when it holds something else. */
export function parseValues(saved: JsonValue | undefined): KeyValue[] | undefined {
  if (!Array.isArray(saved)) return undefined;
  let values: (P2PValue | RawText)[];
  try {
    values = (saved as readonly JsonValue[]).map((value) => untagged(fromJson(value)));
  } catch {
    // Tags that are none: another store's, or made up.
    return undefined;
  }
  const storable = values.every(
    (value) =>
      value === null ||
      ["number", "bigint", "string"].includes(typeof value) ||
      value instanceof Uint8Array ||
      value instanceof RawText,
  );
  return storable ? (values as KeyValue[]) : undefined;
}

function untagged(value: P2PValue): P2PValue | RawText {
  const isRaw = value instanceof TaggedValue && value.type === RAW_TEXT && value.value instanceof Uint8Array;
  return isRaw ? new RawText(value.value as Uint8Array) : value;
}
