import type { P2PRecord } from "../../model/record.ts";
import {
  getField,
  type P2PObject,
  type P2PValue,
  type TaggedValue,
  valuesEqual,
  valueType,
} from "../../model/value.ts";
import { type SingleObject, singleKindNamed } from "../../model/value-types.ts";

/** A field that two records of one id do not have alike. */
export interface FieldDifference {
  /** The way to it: `title`, `address.city`, `tags[2]`; a name with a dot or the like stands in brackets, `["a.b"]`. */
  readonly field: string;
  /**
   * The value as a text of at most 200 characters, with its type: `"text"`, `5`, `5n`, `date:2024-01-31T12:00:00.000Z`,
   * `bytes:AAEC`, `mongodb:objectId:"65f0…"`. Of longer ones the part around the first difference. Absent when the field is.
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
  const [a, b] = [left, right].map((value) => (value === undefined ? undefined : textOf(value, MAX_LOOKED_AT)));
  const from = a === undefined || b === undefined ? 0 : partingOf(a, b);
  return {
    ...(a !== undefined && { source: cut(a, from) }),
    ...(b !== undefined && { target: cut(b, from) }),
  };
}

/** Where two texts part. */
function partingOf(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let at = 0;
  while (at < length && a[at] === b[at]) at++;
  return at;
}

/** A part of a long text that shows what is at a place, on whole characters. */
function cut(text: string, place: number): string {
  if (text.length <= MAX_TEXT) return text;
  const from = place < MAX_TEXT / 2 ? 0 : Math.min(place - 20, text.length - 1);
  const to = Math.min(text.length, from + MAX_TEXT - 2);
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
