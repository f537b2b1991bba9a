import type { P2PRecord } from "../../model/record.ts";
import {
  getField,
  type P2PObject,
  type P2PValue,
  type TaggedValue,
  valuesEqual,
  valueType,
} from "../../model/value-tree.ts";
import { type SingleObject, singleKindNamed } from "../../model/value-types.ts";

/** A field that two records of one id do not have alike. */
export interface FieldDifference {
  /** The way to it: `title`, `address.city`, `tags[2]`; a name with a dot or the like stands in brackets, `["a.b"]`. */
  readonly field: string;
  /**
   * The value as a text of at most 200 characters, with its type: `"text"`, `5`, `5n`, `date:2024-01-31T12:00:00.000Z`,
   * `bytes:AAEC`, `mongodb:objectId:"65f0…"`. Of longer ones the part around the first difference. Where the two would look
   * alike (`é` in two forms, a character without width), all but ASCII is shown by its number, `\u{e9}`. Absent when the field is.
   */
  readonly source?: string;
  readonly target?: string;
}

/** Fields listed of one record. */
const LISTED_FIELDS = 10;

/** Characters of a value, at most. */
const MAX_TEXT = 200;

/** Characters looked at to find where two long values part. */
const MAX_LOOKED_AT = 100_000;

/** What differs between two records of one id. */
export function fieldDifferences(
  source: P2PRecord,
  target: P2PRecord,
): { fields: readonly FieldDifference[]; more: number } {
  const fields: FieldDifference[] = [];
  let more = 0;
  const walk = (left: P2PValue | undefined, right: P2PValue | undefined, path: string): void => {
    if (valuesEqual(left, right)) return;
    const type = left === undefined || right === undefined ? undefined : valueType(left);
    if (type === "object" && valueType(right!) === "object") {
      const [a, b] = [left as P2PObject, right as P2PObject];
      for (const name of new Set([...Object.keys(a), ...Object.keys(b)]))
        walk(getField(a, name), getField(b, name), path === "" ? pathOf(name) : joined(path, name));
    } else if (type === "array" && valueType(right!) === "array") {
      const [a, b] = [left as readonly P2PValue[], right as readonly P2PValue[]];
      for (let i = 0; i < Math.max(a.length, b.length); i++) walk(a[i], b[i], `${path}[${i}]`);
    } else if (fields.length < LISTED_FIELDS) {
      fields.push({ field: shortened(path), ...shownPair(left, right) });
    } else {
      more++;
    }
  };
  walk(source, target, "");
  return { fields, more };
}

const PLAIN_NAME = /^[\p{L}_$@][\p{L}\p{N}_$@-]*$/u;

function pathOf(name: string): string {
  return PLAIN_NAME.test(name) ? name : `[${JSON.stringify(name)}]`;
}

function joined(path: string, name: string): string {
  return PLAIN_NAME.test(name) ? `${path}.${name}` : `${path}[${JSON.stringify(name)}]`;
}

function shortened(path: string): string {
  return path.length <= MAX_TEXT ? path : `${path.slice(0, MAX_TEXT - 1)}…`;
}

function shownPair(left: P2PValue | undefined, right: P2PValue | undefined): Omit<FieldDifference, "field"> {
  if (left === undefined || right === undefined) {
    const text = shortText((left === undefined ? right : left)!);
    return left === undefined ? { target: text } : { source: text };
  }
  const [a, b] = closerTo(left, right).map((value) => textOf(value, MAX_LOOKED_AT)) as [string, string];
  const from = partingOf(a, b);
  const [source, target] = [cut(a, from), cut(b, from)];
  if (source === target) {
    const text = `${cut(a, from, MAX_TEXT - FURTHER_ON.length)}${FURTHER_ON}`;
    return { source: text, target: text };
  }
  if (seen(source) !== seen(target)) return { source, target };
  // Cut anew, since escapes take room.
  const [c, d] = [escaped(a), escaped(b)];
  const place = partingOf(c, d);
  return { source: cut(c, place), target: cut(d, place) };
}

/** What is said of two values whose texts are too long to be looked at up to where they part. */
const FURTHER_ON = " (they part further on)";

function shortText(value: P2PValue): string {
  return cut(textOf(value, MAX_LOOKED_AT), 0);
}

/** Two very long texts without most of what they begin with alike. */
function closerTo(left: P2PValue, right: P2PValue): [P2PValue, P2PValue] {
  if (typeof left !== "string" || typeof right !== "string") return [left, right];
  const place = partingOf(left, right);
  if (place < MAX_LOOKED_AT / 2) return [left, right];
  const from = place - MAX_TEXT - (isLow(left, place - MAX_TEXT) ? 1 : 0);
  return [left.slice(from), right.slice(from)];
}

/** What a reader sees of a text: not the form of an accented letter, nor what has no width, nor which blank it is. */
function seen(text: string): string {
  return text
    .normalize("NFKC")
    .replace(/[\p{Cf}\p{Variation_Selector}]/gu, "")
    .replace(/\p{Z}/gu, " ");
}

/** A text with all that is not ASCII by its number. */
function escaped(text: string): string {
  return text.replace(/[^ -~]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}

/** Where two texts part. */
function partingOf(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

/** A part of a long text that shows what is at a place, on whole characters. */
function cut(text: string, place: number, most = MAX_TEXT): string {
  if (text.length <= most) return text;
  const from = place < most / 2 ? 0 : Math.min(place - 20, text.length - 1);
  const to = Math.min(text.length, from + most - 2);
  const part = text.slice(isLow(text, from) ? from + 1 : from, isLow(text, to) ? to - 1 : to);
  return `${from > 0 ? "…" : ""}${part}${to < text.length ? "…" : ""}`;
}

function isLow(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff;
}

/** A value as people write it, about `most` characters of it. */
function textOf(value: P2PValue, most: number): string {
  const type = valueType(value);
  switch (type) {
    case "string":
      return JSON.stringify((value as string).slice(0, most));
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${bigintText(value as bigint, most)}n`;
    case "tagged": {
      const tagged = value as TaggedValue;
      return `${tagged.type}:${textOf(tagged.value, most)}`;
    }
    case "array":
      return `[${listed(value as readonly P2PValue[], most, (item, rest) => textOf(item, rest))}]`;
    case "object": {
      // In one order, so that two texts part where the values do.
      const entries = Object.entries(value as P2PObject)
        .filter((entry): entry is [string, P2PValue] => entry[1] !== undefined)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      return `{${listed(entries, most, ([name, item], rest) => `${JSON.stringify(name)}:${textOf(item, rest)}`)}}`;
    }
    case "boolean":
    case "null":
      return String(value);
    default:
      return `${type}:${singleKindNamed(type)!.text(value as SingleObject, most)}`;
  }
}

/** The text of a number of a million digits takes seconds to make. */
function bigintText(value: bigint, most: number): string {
  const size = BigInt(most) * 4n;
  return BigInt.asIntN(Number(size), value) === value ? String(value) : `${value < 0n ? "-" : ""}…`;
}

function listed<T>(items: readonly T[], most: number, write: (item: T, rest: number) => string): string {
  let text = "";
  for (const [i, item] of items.entries()) {
    if (text.length >= most) return `${text},…`;
    text += `${i > 0 ? "," : ""}${write(item, most - text.length)}`;
  }
  return text;
}
