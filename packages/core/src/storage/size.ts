import { type P2PObject, type P2PValue, TaggedValue } from "./value.ts";

/** About how many bytes a value takes in memory: enough to keep a budget, not to account for it. */
export function estimateBytes(value: P2PValue | undefined): number {
  switch (typeof value) {
    case "string":
      return 24 + value.length;
    case "object": {
      if (value === null) return 8;
      if (value instanceof Uint8Array) return 64 + value.byteLength;
      if (value instanceof Date) return 32;
      if (value instanceof TaggedValue) return 32 + estimateBytes(value.value);
      let bytes = 32;
      if (Array.isArray(value)) for (const item of value) bytes += estimateBytes(item);
      else {
        // A list of the keys would cost more than the rest, and what is inherited does not matter to an estimate.
        for (const key in value) {
          const inner = (value as P2PObject)[key];
          bytes += typeof inner === "string" ? 40 + inner.length : 16 + estimateBytes(inner);
        }
      }
      return bytes;
    }
    default:
      return 8;
  }
}
