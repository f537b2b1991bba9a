import { type P2PValue, type QueryCondition, type QueryOperator, valueType } from "@omni/p2p-core";
import { ALL, anyOf, type Clause, exists, NONE, not, range, term, terms } from "./clause.ts";
import { hasPlainYear } from "./dates.ts";
import type { FieldSchema } from "./schema.ts";

/** What the server can do for a condition. */
export interface ConditionClause {
  /** Holds for every document that meets the condition, and perhaps for more. */
  readonly clause: Clause;
  /** Whether it holds for those alone. Documents that the sidecar names as odd are left aside here. */
  readonly exact: boolean;
}

const exactly = (clause: Clause): ConditionClause => ({ clause, exact: true });
const atLeast = (clause: Clause): ConditionClause => ({ clause, exact: false });

/** Reading everything is the only way. */
const SCAN = atLeast(ALL);

/** The server allows 65,536 terms in a query. */
const MOST_TERMS = 50_000;

/** A way of asking for the values of one type: how they are found, and what is between two of them. */
interface Family {
  readonly field: string;
  /** The documents with exactly this value; `undefined` when it takes reading to tell. */
  one(value: P2PValue): ConditionClause;
  compare(operator: "gt" | "gte" | "lt" | "lte", value: P2PValue): ConditionClause;
}

/** A condition on a field of an index that we made, where the mapping holds all values but those named as odd. */
export function ownCondition(condition: QueryCondition, name: string, schema: FieldSchema): ConditionClause {
  const family = ownFamily(name, schema);
  if (family === undefined) return unindexed(condition, schema);
  const { operator, value } = condition;
  switch (operator) {
    case "eq":
      return value === null ? exactly(not(exists(family.field))) : family.one(value);
    case "ne":
      return opposite(value === null ? exactly(not(exists(family.field))) : family.one(value));
    case "exists":
      return exactly(value === true ? exists(family.field) : not(exists(family.field)));
    case "in":
      return oneOf(family, value as readonly P2PValue[]);
    case "prefix":
      return schema.kind === "string" ? prefixed(schema, value as string) : exactly(NONE);
    default:
      return family.compare(operator, value);
  }
}

function opposite({ clause, exact }: ConditionClause): ConditionClause {
  return exact ? exactly(not(clause)) : SCAN;
}

function oneOf(family: Family, values: readonly P2PValue[]): ConditionClause {
  if (values.length > MOST_TERMS) return SCAN;
  const clauses = values.map((value) => (value === null ? exactly(not(exists(family.field))) : family.one(value)));
  const [simple, others]: [(string | number | boolean)[], Clause[]] = [[], []];
  for (const { clause } of clauses) {
    const value = (clause as { term?: Record<string, { value: string | number | boolean }> }).term?.[family.field]
      ?.value;
    if (value === undefined) others.push(clause);
    else simple.push(value);
  }
  const clause = anyOf([terms(family.field, simple), ...others]);
  return { clause, exact: clauses.every(({ exact }) => exact) };
}

/** Fields for objects and bytes are searched for nothing that a portable query asks for. */
function unindexed({ operator, value }: QueryCondition, { kind }: FieldSchema): ConditionClause {
  if (kind !== "object") return SCAN;
  if (value === null || operator === "exists" || operator === "in") return SCAN;
  return exactly(operator === "ne" ? ALL : NONE);
}

function ownFamily(name: string, schema: FieldSchema): Family | undefined {
  switch (schema.kind) {
    case "string":
      return schema.keyword === undefined ? undefined : textFamily(schema.keyword, schema.keywordLength);
    case "number":
      return numberFamily(name);
    case "bigint":
      return wholeFamily(name);
    case "boolean":
      return booleanFamily(name);
    case "date":
      return dateFamily(name);
    default:
      return undefined;
  }
}

/** No term is longer than that, so neither is what is looked for. */
const LONGEST_TERM = 8000;

function textFamily(field: string, length: number): Family {
  return {
    field,
    one(value) {
      if (typeof value !== "string") return exactly(NONE);
      return value.length > length ? exactly(NONE) : exactly(term(field, value));
    },
    compare(operator, value) {
      if (typeof value !== "string") return exactly(NONE);
      return value.length > LONGEST_TERM ? SCAN : exactly(range(field, { [operator]: value }));
    },
  };
}

function prefixed({ keyword, keywordLength }: FieldSchema, prefix: string): ConditionClause {
  if (prefix.length > keywordLength) return exactly(NONE);
  // A text that ends in the middle of a character cannot be said in UTF-8.
  if (!prefix.isWellFormed()) return SCAN;
  return exactly(prefix === "" ? exists(keyword!) : { prefix: { [keyword!]: { value: prefix } } });
}

function numberFamily(field: string): Family {
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

function wholeFamily(field: string): Family {
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

function booleanFamily(field: string): Family {
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

function dateFamily(field: string): Family {
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

/**
 * A condition on a field that somebody else made. The server looks into lists, reads numbers from text and rounds, so
 * it only narrows down what has to be looked at.
 */
export function foreignCondition(condition: QueryCondition, name: string, schema: FieldSchema): ConditionClause {
  const { operator, value } = condition;
  const family = foreignFamily(name, schema);
  if (family === undefined) return SCAN;
  switch (operator) {
    case "eq":
      if (value === null) return schema.nullValue ? SCAN : atLeast(not(exists(family.field)));
      return { ...family.one(value), exact: false };
    case "in": {
      const values = value as readonly P2PValue[];
      return values.includes(null) || values.some((item) => !suits(item, schema))
        ? SCAN
        : atLeast(oneOf(family, values).clause);
    }
    case "prefix":
      return schema.keyword === undefined ? SCAN : { ...prefixed(schema, value as string), exact: false };
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return suits(value, schema) ? { ...family.compare(operator, value), exact: false } : SCAN;
    default:
      return SCAN;
  }
}

function foreignFamily(name: string, schema: FieldSchema): Family | undefined {
  if (!schema.indexed) return undefined;
  if (schema.keyword !== undefined) return guarded(textFamily(schema.keyword, schema.keywordLength), schema);
  if (schema.type === "double") return guarded(numberFamily(name), schema);
  if (schema.type === "boolean") return guarded(booleanFamily(name), schema);
  if (schema.type === "date" && schema.format?.times) return guarded(dateFamily(name), schema);
  return undefined;
}

/** What a field of others may hold beside values of its type, such as numbers as text, is for the reader to look at. */
function guarded(family: Family, schema: FieldSchema): Family {
  return { ...family, one: (value) => (suits(value, schema) ? family.one(value) : SCAN) };
}

function suits(value: P2PValue, { type, keyword }: FieldSchema): boolean {
  const given = valueType(value);
  if (keyword !== undefined) return given === "string";
  if (type === "double") return given === "number" || given === "bigint";
  return type === given;
}
