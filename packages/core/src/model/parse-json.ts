import type { JsonValue } from "./json-value.ts";
import { setField } from "./value.ts";

/** Makes a value of a number as it is written. */
export type NumberReader = (source: string, value: number) => unknown;

type Reviver = (this: unknown, key: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * `JSON.parse` for records: with names of fields that are right. Node 24's own gives the field `"\n"` the name `\` when it
 * has seen an object with a field `"\\"` before, in whatever text: V8 compares the next name that it expects with the
 * name as it is written, escape and all. So a text in which a name has an escape, as hardly any has, is taken apart here.
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

const REST_OF_STRING = /(?:[^"\\]+|\\.)*"/sy;
const COLON = /[ \t\n\r]*:/y;

/** Whether a string with an escape is followed by a colon. Looks at nothing but such strings. */
function hasEscapedName(text: string): boolean {
  for (let at = text.indexOf("\\"); at >= 0; at = text.indexOf("\\", at)) {
    REST_OF_STRING.lastIndex = at;
    if (!REST_OF_STRING.test(text)) return false;
    at = REST_OF_STRING.lastIndex;
    COLON.lastIndex = at;
    if (COLON.test(text)) return true;
  }
  return false;
}

const TOKEN = /[ \t\n\r]*(?:([{}[\],:])|("(?:[^"\\]+|\\.)*")|([^ \t\n\r{}[\],:"]+))/sy;

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
      const [, mark, string, other] = token;
      if (mark !== undefined) this.#mark(mark);
      else if (string !== undefined) this.#string(string);
      else this.#put(this.#scalar(other!));
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
