import type { JsonValue } from "./json-value.ts";
import { setField } from "./value-tree.ts";

/** Makes a value of a number as it is written. */
export type NumberReader = (source: string, value: number) => unknown;

type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * `JSON.parse` for records: with names of fields that are right. Node 24's own gives the field `"\n"` the name `\` when it
 * has seen an object with a field `"\\"` before, in whatever text: V8 compares the next name that it expects with the
 * name as it is written, backslash and all. So a text in which a name has an backslash, as hardly any has, is taken apart here.
 *
 * @param readNumber what becomes of numbers. Default: what `JSON.parse` makes of them.
 * @throws SyntaxError when the text is no JSON.
 */
export function parseJson(text: string, readNumber?: NumberReader): JsonValue {
  if (hasEscapedName(text)) {
    JSON.parse(text);
    return new Parser(text, readNumber).parse() as JsonValue;
  }
  if (readNumber === undefined) return JSON.parse(text) as JsonValue;
  const reviver: Reviver = (_, value, { source }) =>
    typeof value === "number" && source !== undefined ? readNumber(source, value) : value;
  return (JSON.parse as (text: string, reviver: Reviver) => JsonValue)(text, reviver);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/**
 * Where a string of JSON ends: behind its closing quote, or -1 where it has none. In linear time and without a stack, which a
 * regular expression is not sure to do for a text that is no JSON, or one of many escapes.
 *
 * @param at within the string, and not between a backslash and what it escapes.
 */
export function endOfJsonString(text: string, at: number): number {
  for (let next = at; next < text.length; next++) {
    const code = text.charCodeAt(next);
    if (code === QUOTE) return next + 1;
    if (code === BACKSLASH) next++;
  }
  return -1;
}

const COLON = /[ \t\n\r]*:/y;

/**
 * Whether a string with an escape is followed by a colon. Looks at nothing but such strings, and leaves the search to the
 * runtime, which is several times as quick at it; neither search passes a character twice.
 */
function hasEscapedName(text: string): boolean {
  let quote = -1;
  for (let backslash = text.indexOf("\\"); backslash >= 0; ) {
    do {
      const next = backslash + 2;
      if (quote < next) quote = text.indexOf('"', next);
      if (quote < 0) return false;
      backslash = text.indexOf("\\", next);
    } while (backslash >= 0 && backslash < quote);
    if (text.charCodeAt(quote + 1) === COMMA) continue;
    COLON.lastIndex = quote + 1;
    if (COLON.test(text)) return true;
  }
  return false;
}

/** A mark, the quote that a string begins with, or a scalar of another kind. */
const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|(")|([^ \t\n\r{}[\],:"]+))/y;

interface Open {
  readonly container: unknown[] | Record<string, unknown>;
  name: string | undefined;
}

/** Takes apart a text that is known to be JSON. It keeps a stack of its own, since a text may be nested as deep as it is long. */
class Parser {
  readonly #text: string;
  readonly #readNumber: NumberReader | undefined;
  readonly #open: Open[] = [];
  #result: unknown;

  constructor(text: string, readNumber: NumberReader | undefined) {
    this.#text = text;
    this.#readNumber = readNumber;
  }

  parse(): unknown {
    TOKEN.lastIndex = 0;
    for (let token = TOKEN.exec(this.#text); token !== null; token = TOKEN.exec(this.#text)) {
      const [, mark, quote, other] = token;
      if (mark !== undefined) this.#mark(mark);
      else if (quote === undefined) this.#put(this.#scalar(other!));
      else {
        const start = TOKEN.lastIndex - 1;
        const end = endOfJsonString(this.#text, start + 1);
        this.#string(this.#text.slice(start, end));
        TOKEN.lastIndex = end;
      }
    }
    return this.#result;
  }

  #mark(mark: string): void {
    if (mark === "{" || mark === "[") {
      const container = mark === "{" ? {} : [];
      this.#put(container);
      this.#open.push({ container, name: undefined });
    } else if (mark === "}" || mark === "]") this.#open.pop();
  }

  #string(source: string): void {
    // A string by itself has no names that could be taken for others.
    const value = JSON.parse(source) as string;
    const open = this.#open.at(-1);
    if (open === undefined || Array.isArray(open.container) || open.name !== undefined) this.#put(value);
    else open.name = value;
  }

  #scalar(source: string): unknown {
    const value: unknown = JSON.parse(source);
    return typeof value === "number" && this.#readNumber ? this.#readNumber(source, value) : value;
  }

  #put(value: unknown): void {
    const open = this.#open.at(-1);
    if (open === undefined) this.#result = value;
    else if (Array.isArray(open.container)) open.container.push(value);
    else {
      setField(open.container, open.name!, value);
      open.name = undefined;
    }
  }
}
