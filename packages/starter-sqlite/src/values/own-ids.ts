import { idKey, integerOfIdText, LAST_HASHED_ID, type P2PId } from "@omni/p2p-core/starter";
import type { ColumnKind } from "../types.ts";

/**
 * How a table of ours stores ids, by the type of its column `id`:
 *
 * - TEXT holds an id's canonical text, so that 1 and "1" are one record;
 * - INTEGER and BIGINT hold the integer that the canonical text spells. An id that spells none ("abc", 1.5) stands
 *   there as a large negative number made of a hash of its text.
 *
 * Whatever the column does not say by itself (a string in an INTEGER column) is in the sidecar, under `id`.
 */
export function storeId(kind: ColumnKind, id: P2PId): string | number | bigint {
  if (kind === "text") return typeof id === "string" ? id : idKey(id);
  if (typeof id === "number" && Number.isSafeInteger(id)) return id === 0 ? 0 : id;
  return integerOfIdText(idKey(id));
}

/** Whether the column says all of the id, its type included. */
export function isPlainId(kind: ColumnKind, id: P2PId): boolean {
  switch (kind) {
    case "text":
      return typeof id === "string";
    case "bigint":
      return typeof id === "bigint" && id > LAST_HASHED_ID && id < 2n ** 63n;
    case "number":
    case "boolean":
    case "timestamp":
    case "integer":
    case "real":
    case "numeric":
    case "blob":
    case "any":
    case "date":
    case "json":
      return typeof id === "number" && Number.isSafeInteger(id) && !Object.is(id, -0);
  }
}
