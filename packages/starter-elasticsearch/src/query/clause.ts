/** A clause of a query in Elasticsearch's language, as far as it is built here. */
export type Clause = Readonly<Record<string, unknown>>;

export const ALL: Clause = { match_all: {} };
export const NONE: Clause = { match_none: {} };

/** All of the clauses hold. */
export function allOf(clauses: readonly Clause[]): Clause {
  const narrowing = clauses.filter((clause) => clause !== ALL);
  if (narrowing.length === 0) return ALL;
  return narrowing.length === 1 ? narrowing[0]! : { bool: { filter: narrowing } };
}

/** One of the clauses holds at least. */
export function anyOf(clauses: readonly Clause[]): Clause {
  if (clauses.includes(ALL)) return ALL;
  const widening = clauses.filter((clause) => clause !== NONE);
  if (widening.length === 0) return NONE;
  return widening.length === 1 ? widening[0]! : { bool: { should: widening, minimum_should_match: 1 } };
}

/** The clause does not hold. */
export function not(clause: Clause): Clause {
  if (clause === ALL) return NONE;
  return clause === NONE ? ALL : { bool: { must_not: [clause] } };
}

export function term(field: string, value: string | number | boolean): Clause {
  return { term: { [field]: { value } } };
}

export function terms(field: string, values: readonly (string | number | boolean)[]): Clause {
  if (values.length === 0) return NONE;
  return values.length === 1 ? term(field, values[0]!) : { terms: { [field]: values } };
}

export function exists(field: string): Clause {
  return { exists: { field } };
}

export function range(field: string, bounds: Readonly<Record<string, string | number>>): Clause {
  return { range: { [field]: bounds } };
}
