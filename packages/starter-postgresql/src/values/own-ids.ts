/** Ids in tables of ours: what the column `id` holds for them. */
import { createHash } from "node:crypto";
import { idKey, integerOfIdText, LAST_HASHED_ID, type P2PId } from "@omni/p2p-core/starter";

/** Longer texts may not fit into a page of the index (a third of 8 kB, less what the index needs itself). */
const MOST_BYTES = 2000;
/** What of a text that cannot stand in the column is there to be seen. */
const SHOWN_CHARACTERS = 60;

/** The type of a column `id`: `text` holds canonical texts, so that 1 and "1" are one record; `bigint` the integers they spell. */
export type OwnIdType = "text" | "bigint";

/**
 * What the column holds for an id. In `bigint` an id that spells no integer stands as a large negative number made of a hash of
 * its text; in `text` one that PostgreSQL or its index cannot hold as its beginning with a hash behind it.
 */
export function storeId(type: OwnIdType, id: P2PId): string {
  const text = idKey(id);
  if (type === "bigint") return integerOfIdText(text).toString();
  return fitsText(text) ? text : hashedText(text);
}

/** Whether the column says all of the id, its type included. */
export function isPlainId(type: OwnIdType, id: P2PId): boolean {
  if (type === "text") return typeof id === "string" && fitsText(id);
  return typeof id === "number" && Number.isSafeInteger(id) && !Object.is(id, -0);
}

/** The id that a cell says by itself. */
export function idOfCell(type: OwnIdType, cell: string): P2PId {
  if (type === "text") return cell;
  const number = Number(cell);
  return Number.isSafeInteger(number) ? number : BigInt(cell);
}

/** Whether a cell may be one that is made of a hash, so that only the sidecar has the id. */
export function looksHashed(type: OwnIdType, cell: string): boolean {
  return type === "bigint" ? BigInt(cell) <= LAST_HASHED_ID : /\u2026[0-9a-f]{64}$/.test(cell);
}

function fitsText(text: string): boolean {
  if (text.includes("\0")) return false;
  return text.length * 3 <= MOST_BYTES || Buffer.byteLength(text) <= MOST_BYTES;
}

function hashedText(text: string): string {
  const beginning = [...text.slice(0, SHOWN_CHARACTERS)].filter((character) => character.isWellFormed()).join("");
  const hash = createHash("sha256").update(text, "utf8").digest("hex");
  return `${beginning.replaceAll("\0", "\u2400")}\u2026${hash}`;
}
