/** Parses JSON that stands in a cell or a column, without loss of the digits of its integers. */
import { fromJson, type JsonValue, MAX_BIGINT_DIGITS, type P2PValue, parseJson } from "@omni/p2p-core/starter";

const INTEGER = /^-?\d+$/;

/** JSON keeps all digits of an integer, and JSON.parse does not. What JavaScript itself writes so is a number. */
function exactNumber(source: string, value: number): unknown {
  const loses = !Number.isSafeInteger(value) && INTEGER.test(source) && source !== String(value);
  return loses && source.length <= MAX_BIGINT_DIGITS ? BigInt(source) : value;
}

/** Plain JSON data, in which integers that a number does not hold are bigints. @throws SyntaxError */
export function parseExactJson(text: string): JsonValue {
  return parseJson(text, /\d{16}/.test(text) ? exactNumber : undefined);
}

/** The value of a text of JSON, tags included. @throws SyntaxError or P2PError where it is none. */
export function valueOfJson(text: string): P2PValue {
  return fromJson(parseExactJson(text));
}
