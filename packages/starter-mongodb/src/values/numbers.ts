import type { P2PValue } from "@omni/p2p-core/starter";
import type { Dialect } from "../client/dialect.ts";

/** From here on, up and down, not every whole number has a type of its own in BSON. */
const LONG_END = 2n ** 63n;

/** Whether BSON's 64-bit integer can hold a bigint. */
export function fitsLong(value: bigint): boolean {
  return value >= -LONG_END && value < LONG_END;
}

/** Whether a number is so large that what the server has for it may be only near to it. */
export function mayBeInexact(value: number | bigint): boolean {
  return value >= LONG_END || value < -LONG_END;
}

/**
 * The number that stands in a field for one that the server cannot keep, so that it can still sort and search by it;
 * `undefined` for every other value, `NaN` among them. Larger numbers never have smaller stand-ins.
 */
export function nearestNumber(value: P2PValue, dialect: Dialect): number | undefined {
  if (typeof value === "bigint") return fitsLong(value) ? undefined : finite(Number(value), dialect);
  if (typeof value !== "number" || dialect.specialNumbers) return undefined;
  if (Object.is(value, -0)) return 0;
  return Number.isFinite(value) || Number.isNaN(value) ? undefined : finite(value, dialect);
}

function finite(value: number, { specialNumbers }: Dialect): number {
  return specialNumbers ? value : Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
}
