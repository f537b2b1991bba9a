import { type P2PValue, type QueryCondition, valueType } from "@omni/p2p-core/starter";
import type { FieldSchema } from "../mapping/schema.ts";
import { ALL, anyOf, type Clause, exists, NONE, not, terms } from "./clause.ts";
import {
  atLeast,
  booleanOperators,
  type ConditionClause,
  dateOperators,
  exactly,
  type FieldOperators,
  numberOperators,
  ownOperators,
  prefixed,
  SCAN,
  textOperators,
} from "./field-operators.ts";

/** The server allows 65,536 terms in a query. */
const MOST_TERMS = 50_000;

/** A condition on a field of an index that we made, where the mapping holds all values but those named as odd. */
export function ownCondition(condition: QueryCondition, name: string, schema: FieldSchema): ConditionClause {
  const operators = ownOperators(name, schema);
  if (operators === undefined) return unindexed(condition, schema);
  const { operator, value } = condition;
  switch (operator) {
    case "eq":
      return value === null ? exactly(not(exists(operators.field))) : operators.one(value);
    case "ne":
      return opposite(value === null ? exactly(not(exists(operators.field))) : operators.one(value));
    case "exists":
      return exactly(value === true ? exists(operators.field) : not(exists(operators.field)));
    case "in":
      return oneOf(operators, value as readonly P2PValue[]);
    case "prefix":
      return schema.kind === "string" ? prefixed(schema, value as string) : exactly(NONE);
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return operators.compare(operator, value);
  }
}

function opposite({ clause, exact }: ConditionClause): ConditionClause {
  return exact ? exactly(not(clause)) : SCAN;
}

function oneOf(operators: FieldOperators, values: readonly P2PValue[]): ConditionClause {
  if (values.length > MOST_TERMS) return SCAN;
  const clauses = values.map((value) =>
    value === null ? exactly(not(exists(operators.field))) : operators.one(value),
  );
  const [simple, others]: [(string | number | boolean)[], Clause[]] = [[], []];
  for (const { clause } of clauses) {
    const value = (clause as { term?: Record<string, { value: string | number | boolean }> }).term?.[operators.field]
      ?.value;
    if (value === undefined) others.push(clause);
    else simple.push(value);
  }
  const clause = anyOf([terms(operators.field, simple), ...others]);
  return { clause, exact: clauses.every(({ exact }) => exact) };
}

/** Fields for objects and bytes are searched for nothing that a portable query asks for. */
function unindexed({ operator, value }: QueryCondition, { kind }: FieldSchema): ConditionClause {
  if (kind !== "object") return SCAN;
  if (value === null || operator === "exists" || operator === "in") return SCAN;
  return exactly(operator === "ne" ? ALL : NONE);
}

/**
 * A condition on a field that somebody else made. The server looks into lists, reads numbers from text and rounds, so
 * it only narrows down what has to be looked at.
 */
export function foreignCondition(condition: QueryCondition, name: string, schema: FieldSchema): ConditionClause {
  const { operator, value } = condition;
  const operators = foreignOperators(name, schema);
  if (operators === undefined) return SCAN;
  switch (operator) {
    case "eq":
      if (value === null) return schema.nullValue ? SCAN : atLeast(not(exists(operators.field)));
      return { ...operators.one(value), exact: false };
    case "in": {
      const values = value as readonly P2PValue[];
      return values.includes(null) || values.some((item) => !suits(item, schema))
        ? SCAN
        : atLeast(oneOf(operators, values).clause);
    }
    case "prefix":
      return schema.keyword === undefined ? SCAN : { ...prefixed(schema, value as string), exact: false };
    case "gt":
    case "gte":
    case "lt":
    case "lte":
      return suits(value, schema) ? { ...operators.compare(operator, value), exact: false } : SCAN;
    case "ne":
    case "exists":
      return SCAN;
  }
}

function foreignOperators(name: string, schema: FieldSchema): FieldOperators | undefined {
  if (!schema.indexed) return undefined;
  if (schema.keyword !== undefined) return guarded(textOperators(schema.keyword, schema.keywordLength), schema);
  if (schema.type === "double") return guarded(numberOperators(name), schema);
  if (schema.type === "boolean") return guarded(booleanOperators(name), schema);
  if (schema.type === "date" && schema.format?.times) return guarded(dateOperators(name), schema);
  return undefined;
}

/** What a field of others may hold beside values of its type, such as numbers as text, is for the reader to look at. */
function guarded(operators: FieldOperators, schema: FieldSchema): FieldOperators {
  return { ...operators, one: (value) => (suits(value, schema) ? operators.one(value) : SCAN) };
}

function suits(value: P2PValue, { type, keyword }: FieldSchema): boolean {
  const given = valueType(value);
  if (keyword !== undefined) return given === "string";
  if (type === "double") return given === "number" || given === "bigint";
  return type === given;
}
