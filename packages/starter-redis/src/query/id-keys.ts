import { isUtf8 } from "node:buffer";
import { idKey, P2PError, type P2PId } from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import type { RedisFormat } from "../types.ts";

/** What of an endpoint decides under which key a record is. */
interface Naming {
  readonly format: RedisFormat;
  readonly prefix: string;
}

const HEX_OF_BYTES = /^(?:[0-9a-f]{2})+$/;

/**
 * The key under which a record is written. A dump has the name of its key as its id and nothing beside it to tell the
 * type, so an id that is no text, as reading gives it for such a name, is the very bytes of the key. In the other formats
 * the id itself is in the value, and the key is its canonical text on every store.
 */
export function keyOfId(id: P2PId, { format, prefix }: Naming): Key {
  if (format === "dump" && id instanceof Uint8Array && !isUtf8(id)) return Buffer.concat([Buffer.from(prefix), id]);
  return prefix + idKey(id);
}

/**
 * All keys whose records have an id of this canonical text, the one of the text itself first: a key that is not UTF-8 has
 * bytes as its id, of which this is the text. There is none of an empty text, whose key would be the bare prefix, nor of
 * one that is not well-formed, which would be sent as another.
 */
export function keysOfIdText(text: string, prefix: string): Key[] {
  if (text === "" || !text.isWellFormed()) return [];
  const bytes = HEX_OF_BYTES.test(text) ? Buffer.from(text, "hex") : undefined;
  if (bytes === undefined || isUtf8(bytes)) return [prefix + text];
  return [prefix + text, Buffer.concat([Buffer.from(prefix), bytes])];
}

/**
 * {@link keysOfIdText} of an id, the key under which it is written first.
 *
 * @throws P2PError `INVALID_RECORD` for what can be no id.
 */
export function keysOfId(id: P2PId, { format, prefix }: Naming): Key[] {
  assertRecordId(id);
  const keys = keysOfIdText(idKey(id), prefix);
  return format === "dump" && id instanceof Uint8Array && !isUtf8(id) ? keys.reverse() : keys;
}

/**
 * The keys of which nothing is left once an id is deleted: the one under which it is written, and, where its bytes are the
 * name of a key that others have made, that one too, since reading gives it with this very id.
 *
 * @throws P2PError `INVALID_RECORD` for what can be no id.
 */
export function keysToDelete(id: P2PId, naming: Naming): Key[] {
  const keys = keysOfId(id, naming);
  return naming.format !== "dump" && id instanceof Uint8Array ? keys : keys.slice(0, 1);
}

function assertRecordId(id: P2PId | null | undefined): asserts id is P2PId {
  const invalidDate = id instanceof Date && Number.isNaN(id.getTime());
  if (id !== null && id !== undefined && !Array.isArray(id) && !invalidDate) return;
  throw new P2PError("INVALID_RECORD", "null, an array and an invalid date can be no record's id");
}
