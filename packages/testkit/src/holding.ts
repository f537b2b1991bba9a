import { type P2PCapabilities, type P2PValue, TaggedValue, VALUE_TYPES, valueType } from "@omni/p2p-core/starter";
import type { ValueLimits } from "./arbitraries.ts";

/** Whether a store can hold this value and all that is in it. */
export function holds(capabilities: P2PCapabilities, value: P2PValue): boolean {
  const type = valueType(value);
  if (capabilities.valueTypes[type] === "unsupported") return false;
  if (value instanceof TaggedValue) return holds(capabilities, value.value);
  if (type !== "array" && type !== "object") return true;
  return Object.values(value as object).every((inner) => holds(capabilities, inner as P2PValue));
}

/** The limits, less the kinds of value that a store cannot hold. */
export function holdable(limits: ValueLimits, { valueTypes }: P2PCapabilities): ValueLimits {
  const without = VALUE_TYPES.filter((type) => valueTypes[type] === "unsupported");
  return { ...limits, without: [...(limits.without ?? []), ...without] };
}
