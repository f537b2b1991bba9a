import { hasPlainYear, type P2PValue, type QueryOperator } from "@omni/p2p-core/starter";
import type { FieldSchema } from "../mapping/schema.ts";
import { ALL, anyOf, type Clause, exists, NONE, range, term, terms } from "./clause.ts";

/** What the server can do for a condition. */
export interface ConditionClause {
  /** Holds for every document that meets the condition, and perhaps for more. */
  readonly clause: Clause;
  /** Whether it holds for those alone. Documents that the sidecar names as odd are left aside here. */
  readonly exact: boolean;
}

/** The server can tell. */
export const exactly = (clause: Clause): ConditionClause => ({ clause, exact: true });
/** The server can narrow it down. */
export const atLeast = (clause: Clause): ConditionClause => ({ clause, exact: false });

/** Reading everything is the only way. */
export const SCAN = atLeast(ALL);

/** A way of asking for the values of one type: how they are found, and what is between two of them. */
export interface FieldOperators {
  readonly field: string;
  /** The documents with exactly this value; `undefined` when it takes reading to tell. */
  one(value: P2PValue): ConditionClause;
  compare(operator: "gt" | "gte" | "lt" | "lte", value: P2PValue): ConditionClause;
}

/** How values of a field of our own are found; `undefined` where the server has no index of them. */
export function ownOperators(name: string, schema: FieldSchema): FieldOperators | undefined {
  switch (schema.kind) {
    case "string":
      return schema.keyword === undefined ? undefined : textOperators(schema.keyword, schema.keywordLength);
    case "number":
      return numberOperators(name);
    case "bigint":
      return wholeOperators(name);
    case "boolean":
      return booleanOperators(name);
    case "date":
      return dateOperators(name);
    case undefined:
    case "object":
    case "bytes":
      return undefined;
    default:
      return schema.kind satisfies never;
  }
}

/** The server makes a state machine of a bound or a prefix, of at most 1,000 bytes; these characters have no more than 900. */
const LONGEST_BOUND = 300;

/** The beginning of a text, as much of it as the server takes for a bound. */
function beginningOf(text: string): string {
  return text.slice(0, LONGEST_BOUND).replace(/[\uD800-\uDBFF]$/, "");
}

function startingWith(field: string, text: string): Clause {
  return { prefix: { [field]: { value: text } } };
}

export function textOperators(field: string, length: number): FieldOperators {
  return {
    field,
    one(value) {
      if (typeof value !== "string") return exactly(NONE);
      return value.length > length ? exactly(NONE) : exactly(term(field, value));
    },
    compare(operator, value) {
      if (typeof value !== "string") return exactly(NONE);
      if (value.length <= LONGEST_BOUND) return exactly(range(field, { [operator]: value }));
      // What has the same beginning may be on either side, and is looked at again.
      const beginning = beginningOf(value);
      if (operator.startsWith("g")) return atLeast(range(field, { gte: beginning }));
      return atLeast(anyOf([range(field, { lt: beginning }), startingWith(field, beginning)]));
    },
  };
}

/** The documents whose text begins with another. */
export function prefixed({ keyword, keywordLength }: FieldSchema, prefix: string): ConditionClause {
  if (prefix.length > keywordLength) return exactly(NONE);
  // A text that ends in the middle of a character cannot be said in UTF-8.
  if (!prefix.isWellFormed()) return SCAN;
  if (prefix === "") return exactly(exists(keyword!));
  const beginning = beginningOf(prefix);
  return { clause: startingWith(keyword!, beginning), exact: beginning === prefix };
}

export function numberOperators(field: string): FieldOperators {
  const numeric = (value: P2PValue): boolean => typeof value === "number" || typeof value === "bigint";
  return {
    field,
    one(value) {
      if (!numeric(value)) return exactly(NONE);
      const number = Number(value);
      if (!Number.isFinite(number)) return exactly(NONE);
      return typeof value === "bigint" && BigInt(number) !== value ? exactly(NONE) : exactly(term(field, number));
    },
    compare(operator, value) {
      if (!numeric(value)) return exactly(NONE);
      const number = Number(value);
      if (!Number.isFinite(number)) return beyond(field, operator, number > 0);
      // Rounding may have moved the bound to the other side of a value, which is then looked at again.
      if (typeof value === "bigint" && BigInt(number) !== value) {
        return atLeast(range(field, { [operator.startsWith("g") ? "gte" : "lte"]: number }));
      }
      return exactly(range(field, { [operator]: number }));
    },
  };
}

/** A bound above or below all values that the field can hold. */
function beyond(field: string, operator: QueryOperator, above: boolean): ConditionClause {
  return exactly((operator.startsWith("l") ? above : !above) ? exists(field) : NONE);
}

const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

function wholeOperators(field: string): FieldOperators {
  return {
    field,
    one(value) {
      if (typeof value === "number") return Number.isInteger(value) ? this.one(BigInt(value)) : exactly(NONE);
      if (typeof value !== "bigint" || value < INT64_MIN || value > INT64_MAX) return exactly(NONE);
      return exactly(term(field, value.toString()));
    },
    compare(operator, value) {
      if (typeof value !== "number" && typeof value !== "bigint") return exactly(NONE);
      if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
        return beyond(field, operator, value > 0);
      }
      // Between two whole numbers the bound goes to the next one inside.
      const whole = typeof value === "bigint" || Number.isInteger(value);
      const bound = BigInt(
        whole ? value : operator.startsWith("g") ? Math.ceil(value as number) : Math.floor(value as number),
      );
      if (bound > INT64_MAX || bound < INT64_MIN) return beyond(field, operator, bound > 0n);
      const inclusive = whole ? operator : operator.startsWith("g") ? "gte" : "lte";
      return exactly(range(field, { [inclusive]: bound.toString() }));
    },
  };
}

export function booleanOperators(field: string): FieldOperators {
  return {
    field,
    one: (value) => exactly(typeof value === "boolean" ? term(field, value) : NONE),
    compare(operator, value) {
      if (typeof value !== "boolean") return exactly(NONE);
      const matching = [false, true].filter((other) => {
        if (operator === "gt") return other && !value;
        if (operator === "gte") return other || !value;
        return operator === "lt" ? !other && value : !other || value;
      });
      return exactly(terms(field, matching));
    },
  };
}

export function dateOperators(field: string): FieldOperators {
  return {
    field,
    one(value) {
      if (!(value instanceof Date)) return exactly(NONE);
      const [bounds, exact] = dateBounds({ gte: value, lte: value });
      return { clause: range(field, bounds), exact };
    },
    compare(operator, value) {
      if (!(value instanceof Date)) return exactly(NONE);
      const [bounds, exact] = dateBounds({ [operator]: value });
      return { clause: range(field, bounds), exact };
    },
  };
}

/**
 * Bounds as text where a date has one. Outside of the years 0 to 9999 there are milliseconds only, and the server
 * rounds those wrongly when they are negative, so they are moved outwards and looked at again.
 */
function dateBounds(bounds: Readonly<Record<string, Date>>): [Record<string, string | number>, boolean] {
  const entries = Object.entries(bounds);
  if (entries.every(([, date]) => hasPlainYear(date.getTime()))) {
    const texts = entries.map(([operator, date]) => [operator, date.toISOString()]);
    return [{ ...Object.fromEntries(texts), format: "strict_date_time" } as Record<string, string>, true];
  }
  const wider = entries.map(([operator, date]) =>
    operator.startsWith("g") ? ["gte", date.getTime() - 2] : ["lte", date.getTime() + 2],
  );
  return [{ ...Object.fromEntries(wider), format: "epoch_millis" } as Record<string, string | number>, false];
}
