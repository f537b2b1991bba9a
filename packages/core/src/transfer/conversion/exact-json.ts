/** JSON in the text of a field, parsed without loss: no number is rounded, and no name is there twice. */
import { randomUUID } from "node:crypto";
import { endOfJsonString, parseJson } from "../../model/parse-json.ts";
import { type P2PValue, setField } from "../../model/value-tree.ts";
import { exactDouble, exactInteger } from "./exact-number.ts";

/** JSON, or what Python's `json.dumps` writes beyond it: `NaN`, `Infinity`, `-Infinity`. */
const TOKENS = /"|-?Infinity\b|NaN\b/g;

/**
 * The value of a text of JSON. Whole numbers beyond what a double holds become bigints.
 *
 * @returns the value, or why there is none, as the end of a sentence.
 */
export function valueOfJson(text: string): { readonly value: P2PValue } | { readonly trouble: string } {
  try {
    const { plain, mark } = withoutPythonWords(text);
    if (hasDoubleName(plain)) return { trouble: "has a name twice, of which one would be lost" };
    const parsed = parseJson(plain, readNumber) as P2PValue;
    return { value: mark === undefined ? parsed : withWords(parsed, mark) };
  } catch (thrown) {
    if (thrown instanceof RoundedNumber)
      return { trouble: `has the number ${thrown.message}, which JSON parsers round` };
    return { trouble: "is no JSON" };
  }
}

class RoundedNumber extends Error {}

function readNumber(source: string): number | bigint {
  const number = exactDouble(source);
  // The text -0.0 is that of a double, too.
  if (number !== undefined) return number;
  const whole = exactInteger(source);
  if (whole === undefined) throw new RoundedNumber(source.length > 40 ? `${source.slice(0, 40)}…` : source);
  return whole;
}

/** Python's words as strings with a mark before them that no string of the text has. */
function withoutPythonWords(text: string): { readonly plain: string; readonly mark: string | undefined } {
  if (!/NaN|Infinity/.test(text)) return { plain: text, mark: undefined };
  // One that nobody can know beforehand: a text may write any other one with escapes, or many of them to search for.
  const mark = randomUUID();
  let plain = "";
  let from = 0;
  let found = false;
  TOKENS.lastIndex = 0;
  for (let token = TOKENS.exec(text); token !== null; token = TOKENS.exec(text)) {
    if (token[0] === '"') {
      const end = endOfJsonString(text, token.index + 1);
      if (end < 0) break;
      TOKENS.lastIndex = end;
      continue;
    }
    found = true;
    plain += `${text.slice(from, token.index)}"${mark}${token[0]}"`;
    from = TOKENS.lastIndex;
  }
  return found ? { plain: plain + text.slice(from), mark } : { plain: text, mark: undefined };
}

function withWords(value: P2PValue, mark: string): P2PValue {
  if (typeof value === "string") return value.startsWith(mark) ? Number(value.slice(mark.length)) : value;
  if (Array.isArray(value)) return value.map((item) => withWords(item as P2PValue, mark));
  if (typeof value !== "object" || value === null) return value;
  const made: Record<string, P2PValue> = {};
  for (const [name, inner] of Object.entries(value)) {
    if (name.startsWith(mark)) throw new SyntaxError("A word of Python is no name");
    setField(made, name, withWords(inner as P2PValue, mark));
  }
  return made;
}

const COLON = /[ \t\n\r]*:/y;

/** Whether an object has a name twice; asked of a text that may be no JSON. */
function hasDoubleName(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  for (let at = 0; at < text.length; at++) {
    const mark = text[at];
    if (mark === "{") open.push(new Set());
    else if (mark === "[") open.push(undefined);
    else if (mark === "}" || mark === "]") open.pop();
    else if (mark === '"') {
      const end = endOfJsonString(text, at + 1);
      if (end < 0) return false;
      COLON.lastIndex = end;
      if (COLON.test(text)) {
        const names = open.at(-1);
        const name = JSON.parse(text.slice(at, end)) as string;
        if (names?.has(name)) return true;
        names?.add(name);
      }
      at = end - 1;
    }
  }
  return false;
}
