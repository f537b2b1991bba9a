import { type P2PObject, type P2PValue, type TaggedValue, valueType } from "./value-tree.ts";
import { type SingleObject, singleKindNamed } from "./value-types.ts";

/** About how many bytes a value takes in memory: enough to keep a budget, not to account for it. */
export function estimateBytes(value: P2PValue | undefined): number {
  switch (typeof value) {
    case "string":
      return 24 + value.length;
    case "object":
      return sizeOfObject(value);
    default:
      return 8;
  }
}

function sizeOfObject(value: Extract<P2PValue, object | null>): number {
  let bytes = 32;
  const type = valueType(value);
  switch (type) {
    case "null":
      return 8;
    case "tagged":
      return bytes + estimateBytes((value as TaggedValue).value);
    case "array":
      for (const item of value as readonly P2PValue[]) bytes += estimateBytes(item);
      return bytes;
    case "string":
    case "number":
    case "bigint":
    case "boolean":
    case "object":
      // A list of the keys would cost more than the rest, and what is inherited does not matter to an estimate.
      for (const key in value) {
        const inner = (value as P2PObject)[key];
        bytes += typeof inner === "string" ? 40 + inner.length : 16 + estimateBytes(inner);
      }
      return bytes;
    default:
      return singleKindNamed(type)!.size(value as SingleObject);
  }
}
