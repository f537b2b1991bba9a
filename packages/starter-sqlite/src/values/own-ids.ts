import { createHash } from "node:crypto";
import { idKey, type P2PId } from "@omni/p2p-core/starter";
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
  const text = idKey(id);
  const integer = canonicalInteger(text);
  return integer !== undefined && integer > LAST_HASH ? integer : hashedId(text);
}

/** Whether the column says all of the id, its type included. */
export function isPlainId(kind: ColumnKind, id: P2PId): boolean {
  switch (kind) {
    case "text":
      return typeof id === "string";
    case "bigint":
      return typeof id === "bigint" && id > LAST_HASH && id < 2n ** 63n;
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

/** Integers up to this one stand for ids that are none. Nobody counts that far down. */
const LAST_HASH = -(2n ** 62n);

/** The integer that a text spells in the one way in which it is usually spelled, if SQLite can hold it. */
function canonicalInteger(text: string): bigint | undefined {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined;
  const integer = BigInt(text);
  return integer >= -(2n ** 63n) && integer < 2n ** 63n ? integer : undefined;
}

function hashedId(text: string): bigint {
  const hash = createHash("sha256").update(text, "utf8").digest().readBigUInt64BE();
  return -(2n ** 63n) + (hash & (2n ** 62n - 1n));
}
