import { type P2PObject, type P2PValue, TaggedValue } from "@omni/p2p-core";

/** About how many bytes a value takes: good enough to cut batches by. */
export function sizeOf(value: P2PValue | undefined): number {
  switch (typeof value) {
    case "string":
      return 2 + value.length;
    case "object":
      return value === null ? 4 : sizeOfObject(value);
    default:
      return 8;
  }
}

function sizeOfObject(value: Exclude<P2PValue, null | boolean | number | bigint | string>): number {
  if (value instanceof Uint8Array) return value.byteLength;
  if (value instanceof Date) return 8;
  if (value instanceof TaggedValue) return value.type.length + sizeOf(value.value);
  let size = 2;
  if (Array.isArray(value)) for (const item of value) size += sizeOf(item);
  else for (const key of Object.keys(value)) size += key.length + sizeOf((value as P2PObject)[key]);
  return size;
}
