import {
  idKey,
  type P2PId,
  type P2PQuery,
  type P2PValue,
  type ParsedQuery,
  parseQuery,
  type QueryCondition,
} from "@omni/p2p-core/starter";
import { fieldAt } from "../mapping/names.ts";
import { type FieldSchema, type IndexSchema, type IndexSchemas, indicesBySchema } from "../mapping/schema.ts";
import { SIDECAR } from "../types.ts";
import { ALL, allOf, anyOf, type Clause, exists, NONE, not, range, term, terms } from "./clause.ts";
import { foreignCondition, ownCondition } from "./condition.ts";
import { type ConditionClause, SCAN } from "./field-operators.ts";
import { nativeClause } from "./native-query.ts";
import { type SequenceRange, sequenceRangeOf } from "./sequence-range.ts";

/** A portable query in Elasticsearch's terms. */
export interface ReadPlan {
  readonly query: ParsedQuery;
  /** Finds every document that the query asks for; what else it finds does not meet the conditions. */
  readonly filter: Clause;
  /** Whether, of the documents that are not odd, it finds exactly the ones asked for. */
  readonly exact: boolean;
  /** The documents in which the index alone does not tell whether a condition holds. */
  readonly odd: Clause;
}

/**
 * Checks a query and puts as much of it as is possible into the server's language.
 *
 * @throws P2PError `INVALID_QUERY`, `UNSUPPORTED_QUERY`
 */
export function planRead(given: P2PQuery, schemas: IndexSchemas): ReadPlan {
  const query = parseQuery(given);
  const clauses: Clause[] = [];
  const native = nativeClause(query);
  if (native !== undefined) clauses.push(native as Clause);
  if (query.partition !== undefined) clauses.push(partClause(sequenceRangeOf(query.partition)));
  const plans = new Map<ConditionsPlan, readonly string[]>();
  for (const [schema, indices] of indicesBySchema(schemas)) plans.set(planConditions(query, schema, schemas), indices);
  return {
    query,
    filter: allOf([...clauses, eachInItsIndices(plans, ({ filter }) => filter)]),
    exact: [...plans.keys()].every(({ exact }) => exact),
    odd: eachInItsIndices(plans, ({ odd }) => odd),
  };
}

/** What the conditions of a query come to in indices of one mapping. */
type ConditionsPlan = Pick<ReadPlan, "filter" | "exact" | "odd">;

/** A clause for each group of indices: what finds a value depends on the type that its field has there. */
export function eachInItsIndices<Plan>(
  plans: ReadonlyMap<Plan, readonly string[]>,
  clauseOf: (plan: Plan) => Clause,
): Clause {
  const groups = new Map<string, { readonly clause: Clause; readonly indices: string[] }>();
  for (const [plan, indices] of plans) {
    const clause = clauseOf(plan);
    const text = JSON.stringify(clause);
    const group = groups.get(text) ?? { clause, indices: [] };
    group.indices.push(...indices);
    groups.set(text, group);
  }
  const [first, ...others] = groups.values();
  if (first === undefined) return NONE;
  if (others.length === 0) return first.clause;
  return anyOf(
    [first, ...others].map(({ clause, indices }) =>
      clause === NONE ? NONE : allOf([terms("_index", indices), clause]),
    ),
  );
}

function planConditions(query: ParsedQuery, schema: IndexSchema, schemas: IndexSchemas): ConditionsPlan {
  const clauses: Clause[] = [];
  const odd: Clause[] = [];
  let exact = true;
  for (const condition of query.conditions) {
    const found = isRefusedElsewhere(condition, schema, schemas) ? SCAN : conditionClause(condition, schema);
    exact &&= found.exact;
    const unsure = ownKey(condition) ? NONE : oddClause(condition.field, schema);
    odd.push(unsure);
    clauses.push(anyOf([found.clause, unsure]));
  }
  return { filter: allOf(clauses), exact, odd: anyOf(odd) };
}

const RANGES: ReadonlySet<string> = new Set(["gt", "gte", "lt", "lte"]);

/**
 * Whether another index would refuse a range, in which it finds nothing: a date field looks at the bounds before it is asked
 * of which index it is, and takes none that is no date.
 */
function isRefusedElsewhere({ field, operator }: QueryCondition, schema: IndexSchema, schemas: IndexSchemas): boolean {
  if (!RANGES.has(operator)) return false;
  const isDate = ({ fields }: IndexSchema): boolean => fieldAt(fields, field)?.type.startsWith("date") === true;
  return !isDate(schema) && [...schemas.values()].some(isDate);
}

function partClause({ from, below }: SequenceRange): Clause {
  return range("_seq_no", below === undefined ? { gte: from } : { gte: from, lt: below });
}

/** Whether a condition on the id is answered by the document's own id, which is never odd. */
function ownKey({ field, operator }: QueryCondition): boolean {
  return field === "id" && ["eq", "ne", "in", "exists"].includes(operator);
}

function conditionClause(condition: QueryCondition, schema: IndexSchema): ConditionClause {
  if (condition.field === "id") return idCondition(condition, schema);
  const field = fieldAt(schema.fields, condition.field);
  // A name with a star is a pattern to some clauses.
  if (field === undefined || condition.field.includes("*")) return { clause: ALL, exact: false };
  const own = schema.ours && field.kind !== undefined;
  return own ? ownCondition(condition, condition.field, field) : foreignCondition(condition, condition.field, field);
}

/** More ids than this are not put into one query. */
const MOST_IDS = 10_000;

function idCondition(condition: QueryCondition, schema: IndexSchema): ConditionClause {
  const { operator, value } = condition;
  const ids = (values: readonly P2PValue[]): Clause => {
    const keys = values.filter((item) => item !== null).map((item) => idKey(item as P2PId));
    return keys.length === 0 ? NONE : { ids: { values: keys } };
  };
  switch (operator) {
    case "eq":
      return { clause: ids([value]), exact: true };
    case "ne":
      return { clause: not(ids([value])), exact: true };
    case "exists":
      return { clause: value === true ? ALL : NONE, exact: true };
    case "in":
      if ((value as readonly P2PValue[]).length > MOST_IDS) return { clause: ALL, exact: false };
      return { clause: ids(value as readonly P2PValue[]), exact: true };
    case "gt":
    case "gte":
    case "lt":
    case "lte":
    case "prefix": {
      const field = schema.fields.get("id");
      if (!schema.ours || field?.kind === undefined) return { clause: ALL, exact: false };
      // Ids that are not text are kept as text beside others, so what is found is looked at again.
      return { ...ownCondition(condition, "id", field), exact: false };
    }
  }
}

/** The documents whose text is too long for its keyword, by what the index has of them. */
function longTextClause(name: string, { type, keyword, keywordLength, indexed }: FieldSchema): Clause {
  if (keyword === undefined || keywordLength === Number.POSITIVE_INFINITY) return NONE;
  // Where nothing else of a text is indexed, one that is too long looks like none at all.
  const hidden = not(exists(keyword));
  return type === "text" && indexed ? allOf([exists(name), hidden]) : hidden;
}

/** The documents in which this field is not what its index says. */
export function oddClause(name: string, schema: IndexSchema): Clause {
  const field = fieldAt(schema.fields, name);
  const named = schema.sidecar ? term(`${SIDECAR}.fields`, name) : NONE;
  const untold = field === undefined || schema.tellsLongTexts ? NONE : longTextClause(name, field);
  return anyOf([named, ignoredClause(name, field), untold]);
}

function ignoredClause(name: string, field: FieldSchema | undefined): Clause {
  if (field === undefined) return NONE;
  const paths = field.keyword === undefined || field.keyword === name ? [name] : [name, field.keyword];
  return terms("_ignored", paths);
}
