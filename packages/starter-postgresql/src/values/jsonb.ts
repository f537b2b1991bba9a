/** What `jsonb` gives back the very same. */
import { type P2PValue, TaggedValue } from "@omni/p2p-core/starter";

/** Whether no text in a value, names of fields included, holds U+0000, which `jsonb` refuses. Numbers come back equal. */
export function fitsJsonb(value: P2PValue): boolean {
  if (typeof value === "string") return !value.includes("\0");
  if (typeof value !== "object" || value === null || value instanceof Date || value instanceof Uint8Array) return true;
  if (value instanceof TaggedValue) return !value.type.includes("\0") && fitsJsonb(value.value);
  if (Array.isArray(value)) return (value as readonly P2PValue[]).every(fitsJsonb);
  return Object.entries(value).every(
    ([name, inner]) => !name.includes("\0") && (inner === undefined || fitsJsonb(inner)),
  );
}
