/** Array literals: parser and serialiser of the server's text form of arrays. Source: PostgreSQL's manual, "Array Input and Output Syntax". */
import type { P2PValue } from "@omni/p2p-core/starter";

/** Items of an array before they are decoded; `null` is NULL. */
export type ArrayItems = readonly (string | null | ArrayItems)[];

/** A text that begins so has bounds of its own (`[0:2]={…}`), which a list of JavaScript cannot say. */
export function hasBounds(text: string): boolean {
  return text.startsWith("[");
}

/** Parses an array literal without bounds, in linear time; `undefined` for a text that is none. */
export function parseArray(text: string, delimiter: string): ArrayItems | undefined {
  if (isSimple(text)) {
    if (text === "{}") return [];
    const items: (string | null)[] = text.slice(1, -1).split(delimiter);
    for (let at = 0; at < items.length; at++) if (items[at] === "NULL") items[at] = null;
    return items;
  }
  const stack: (string | null | ArrayItems)[][] = [];
  let items: (string | null | ArrayItems)[] | undefined;
  let at = 0;
  while (at < text.length) {
    const char = text[at]!;
    if (char === "{") {
      const inner: (string | null | ArrayItems)[] = [];
      if (items !== undefined) {
        items.push(inner);
        stack.push(items);
      }
      items = inner;
      at++;
    } else if (items === undefined) {
      return undefined;
    } else if (char === "}") {
      at++;
      const outer = stack.pop();
      if (outer === undefined) return at === text.length ? items : undefined;
      items = outer;
    } else if (char === delimiter) {
      at++;
    } else if (char === '"') {
      let item = "";
      let from = ++at;
      for (; at < text.length && text[at] !== '"'; at++) {
        if (text[at] !== "\\") continue;
        item += text.slice(from, at);
        from = ++at;
      }
      items.push(item + text.slice(from, at));
      at++;
    } else {
      const from = at;
      while (at < text.length && text[at] !== delimiter && text[at] !== "}") at++;
      const item = text.slice(from, at);
      items.push(item === "NULL" ? null : item);
    }
  }
  return undefined;
}

/** Whether a literal has one dimension and no quotes. */
function isSimple(text: string): boolean {
  return text.startsWith("{") && text.indexOf("}") === text.length - 1 && !text.includes("{", 1) && !text.includes('"');
}

/**
 * Writes an array literal; each item that is not null is given by `encode` in its own text form.
 *
 * @param flat whether items that are lists are no further dimensions.
 */
export function arrayLiteral(
  items: readonly P2PValue[],
  delimiter: string,
  flat: boolean,
  encode: (item: P2PValue) => string,
): string {
  const parts = items.map((item) => {
    if (item === null) return "NULL";
    if (!flat && Array.isArray(item)) return arrayLiteral(item as readonly P2PValue[], delimiter, flat, encode);
    return quoted(encode(item));
  });
  return `{${parts.join(delimiter)}}`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
