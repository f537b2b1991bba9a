import { decodeJson, getField, type P2PValue, setField } from "@omni/p2p-core/starter";

/** The field of a document that holds, as tagged JSON, what BSON or the server cannot say. */
export const SIDECAR = "_p2p";

/** The value that `{ _p2p: text }` stands for; the object itself when the text is not ours. */
export function untagged(object: Record<string, P2PValue>): P2PValue {
  return parsedText(object[SIDECAR]) ?? object;
}

/** Puts the fields of a document's sidecar among the others. */
export function joinSidecar(record: Record<string, P2PValue>, sidecar: P2PValue): void {
  const fields = parsedText(sidecar);
  if (typeof fields !== "object" || fields === null || Object.getPrototypeOf(fields) !== Object.prototype) {
    record[SIDECAR] = sidecar;
    return;
  }
  for (const [name, value] of Object.entries(fields)) {
    // Someone may have changed the number in the field and have known nothing of this one.
    if (isNumber(value) && !isNear(getField(record, name), value)) continue;
    setField(record, name, value);
  }
}

function isNumber(value: P2PValue | undefined): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** Whether what is in a field stands for this number, or there is nothing. */
function isNear(stored: P2PValue | undefined, value: number | bigint): boolean {
  if (stored === undefined) return true;
  if (!isNumber(stored)) return false;
  const double = Number(value);
  return stored === double || (Math.abs(double) === Infinity && stored === Math.sign(double) * Number.MAX_VALUE);
}

function parsedText(text: P2PValue | undefined): P2PValue | undefined {
  // Only arrays, objects and tags are ever written as text.
  if (typeof text !== "string" || (text[0] !== "{" && text[0] !== "[")) return undefined;
  try {
    return decodeJson(text);
  } catch {
    return undefined;
  }
}
