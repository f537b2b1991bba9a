import { type P2PId, type P2PValue, type QueryCondition, valueType } from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import { documentField } from "../values/document-field.ts";
import type { RecordEncoder } from "../values/encode.ts";
import { idForms } from "../values/id-forms.ts";
import { mayBeInexact, nearestNumber } from "../values/numbers.ts";
import { isAddressable } from "./query.ts";

/** A condition as a filter for the server, which matches what the condition matches, or more when it is not `exact`. */
interface Translated {
  readonly filter?: Document;
  readonly exact: boolean;
}

/** The conditions of a query as filters for the server. */
export interface ServerFilter {
  /** All of them must hold. */
  readonly filters: readonly Document[];
  /** Whether they match just what the conditions match. */
  readonly exact: boolean;
}

/** What filters need to know of the collection they are for. */
export interface FilterContext {
  readonly dialect: Dialect;
  readonly encoder: RecordEncoder;
  /** Whether the collection compares text by the rules of a language. */
  readonly collated: boolean;
}

const ARRAY = 4;
const OBJECT = 3;
const BINARY = 5;
const UNDEFINED = 6;
const STRING = 2;
const SYMBOL = 14;
const DECIMAL = 19;

/**
 * Says the conditions of a query in MongoDB's language, as closely as that goes and never too narrowly: what the server
 * returns is checked by the core's `matches` where the filter is not exact.
 */
export function serverFilter(conditions: readonly QueryCondition[], context: FilterContext): ServerFilter {
  const translated = conditions.map((condition) => translate(condition, context));
  return {
    filters: translated.flatMap(({ filter }) => filter ?? []),
    exact: translated.every(({ exact }) => exact),
  };
}

function translate(condition: QueryCondition, context: FilterContext): Translated {
  const { field, operator, value } = condition;
  if (!isAddressable(field, context.dialect)) return { exact: false };
  const name = documentField(field);
  switch (operator) {
    case "exists":
      if (field === "id") return value ? { exact: true } : exactly({ _id: { $in: [] } });
      return exactly(value ? { $nor: [isNull(name, context)] } : isNull(name, context));
    case "eq":
      return equality(field, [value], context);
    case "in":
      return equality(field, value as readonly P2PValue[], context);
    case "ne": {
      const { filter, exact } = equality(field, [value], context);
      return exact ? exactly({ $nor: [filter!] }) : { exact: false };
    }
    case "prefix":
      return startsWith(name, value as string, context);
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return comparison(name, operator, value, context);
  }
}

function exactly(filter: Document): Translated {
  return { filter, exact: true };
}

/** Leaves out arrays, of which MongoDB would look at each element, and types that it takes for equal but we do not. */
function without(context: FilterContext, ...types: number[]): Document {
  const known = types.filter((type) => context.dialect.typeOrder.some((group) => group.includes(type)));
  return { $not: { $type: [ARRAY, ...known] } };
}

function isNull(name: string, context: FilterContext): Document {
  return { [name]: { $eq: null, ...without(context, UNDEFINED) } };
}

function equality(field: string, values: readonly P2PValue[], context: FilterContext): Translated {
  if (field === "id") {
    const ids = values.filter((value) => value !== null);
    return { filter: idForms(ids as P2PId[], context.encoder, context.dialect), exact: false };
  }
  const exact = values.every((value) =>
    isNumber(value) ? !mayBeInexact(value) : typeof value !== "string" || !context.collated,
  );
  const stored = values.map((value) => nearestNumber(value, context.dialect) ?? context.encoder.value(value));
  return {
    filter: { [documentField(field)]: { $in: stored, ...without(context, UNDEFINED, SYMBOL, DECIMAL) } },
    exact,
  };
}

function isNumber(value: P2PValue): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

const SERVER_OPERATORS = { gt: "$gt", gte: "$gte", lt: "$lt", lte: "$lte" } as const;
type Comparison = keyof typeof SERVER_OPERATORS;

function comparison(name: string, operator: Comparison, value: P2PValue, context: FilterContext): Translated {
  switch (valueType(value)) {
    case "number":
    case "bigint":
      return numberRange(name, operator, value as number | bigint, context);
    case "bytes":
      // The server orders binary data by length first.
      return { filter: { [name]: { $type: BINARY } }, exact: false };
    case "string":
      if (context.collated) return { filter: { [name]: { $type: STRING } }, exact: false };
  }
  return exactly({ [name]: { [SERVER_OPERATORS[operator]]: value, ...without(context, SYMBOL) } });
}

function numberRange(name: string, operator: Comparison, value: number | bigint, context: FilterContext): Translated {
  const bound = nearestNumber(value, context.dialect) ?? value;
  // Several numbers may have the same stand-in, so that the bound itself must come along.
  const inexact = mayBeInexact(value);
  const inclusive = operator === "gt" || operator === "gte" ? "$gte" : "$lte";
  const range = { [inexact ? inclusive : SERVER_OPERATORS[operator]]: bound, ...without(context, DECIMAL) };
  if (name !== "_id") return { filter: { [name]: range }, exact: !inexact };
  // An id has no stand-in: one that is too large for BSON is an object.
  return { filter: { $or: [{ _id: range }, { _id: { $type: OBJECT } }] }, exact: false };
}

function startsWith(name: string, prefix: string, context: FilterContext): Translated {
  if (context.collated) return { filter: { [name]: { $type: STRING } }, exact: false };
  const end = afterPrefix(prefix);
  const upper = end === undefined ? {} : { $lt: end };
  return exactly({ [name]: { $gte: prefix, ...upper, ...without(context, SYMBOL) } });
}

/** The least text after all that start with the prefix, by code point; `undefined` when there is none. */
function afterPrefix(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = last.codePointAt(0)! + 1;
    if (next <= 0x10ffff) return points.join("") + String.fromCodePoint(next === 0xd800 ? 0xe000 : next);
  }
  return undefined;
}
