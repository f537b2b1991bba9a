/** A JSON parser that keeps whole numbers beyond 2^53 as bigint. */
import { parseJson } from "@omni/p2p-core/starter";

/** Text that stands in JSON as it is: what `JSON.rawJSON` makes. */
interface RawJson {
  readonly rawJSON: string;
}

interface JsonWithSource {
  rawJSON(text: string): RawJson;
}

// It is in every Node this package supports, and in none of TypeScript's libraries yet.
const json = JSON as unknown as JsonWithSource;

const WHOLE_NUMBER = /^-?\d+$/;

/**
 * Reads JSON in which whole numbers too large for a `number` come as bigint. It is several times slower than
 * `JSON.parse`, so it is used only where such a number turned up.
 */
export function parsePrecisely(text: string): unknown {
  return parseJson(text, (source, value) =>
    !Number.isSafeInteger(value) && WHOLE_NUMBER.test(source) ? BigInt(source) : value,
  );
}

/** A bigint for `JSON.stringify`, which writes it as a whole number with all its digits. */
export function exactNumber(value: bigint): RawJson {
  return json.rawJSON(value.toString());
}

/** Whether a parsed number may have lost digits of a whole number. */
export function mayBeRounded(value: number): boolean {
  return Number.isInteger(value) && !Number.isSafeInteger(value);
}
