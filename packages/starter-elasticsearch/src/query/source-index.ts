import { P2PError, type P2PQuery, parseQuery } from "@omni/p2p-core/starter";
import { unnumberedError } from "../client/errors.ts";
import type { Link } from "../client/link.ts";
import { requireVisible } from "../mapping/hidden-fields.ts";
import { loadSchemas } from "../mapping/load-schema.ts";
import type { IndexSchemas } from "../mapping/schema.ts";
import { ALL, type Clause } from "./clause.ts";
import { planRead, type ReadPlan } from "./query.ts";

/** The index that is read from. */
export interface SourceIndex {
  readonly link: Link;
  readonly index: string;
  /** How long the server keeps a view of it between two pages. */
  readonly keepAliveMs: number;
  /** Whether the server has to be asked for vectors. */
  readonly vectors?: boolean;
}

/** A query that was checked against the index as it is now. */
export interface OpenedQuery extends SourceIndex {
  /** The schema of each index, by which its documents are read. */
  readonly schemas: IndexSchemas;
  readonly plan: ReadPlan;
  /** Whether searches show all that was acknowledged before; else they do so after the index's own interval. */
  readonly refreshed: boolean;
}

/**
 * Looks at the index and plans the reading of a query.
 *
 * @throws P2PError `INVALID_QUERY`, `UNSUPPORTED_QUERY`, `SOURCE_NOT_FOUND`
 */
export async function openQuery(source: SourceIndex, query: P2PQuery, signal: AbortSignal): Promise<OpenedQuery> {
  parseQuery(query);
  const [schemas, refreshed] = await Promise.all([requireSchemas(source, "read", signal), refresh(source, signal)]);
  const plan = planRead(query, schemas);
  requireVisible(plan.query, schemas, source.link.label);
  return { ...source, vectors: hasVectors(schemas), schemas, plan, refreshed };
}

/** Whether a search of these indices has to ask for vectors. */
export function hasVectors(schemas: IndexSchemas): boolean {
  return [...schemas.values()].some(({ vectors }) => vectors);
}

/**
 * Lets searches show all that was written before. Resolves with whether they do: one who may only read sees it after the
 * index's own interval.
 */
export async function refresh({ link, index }: SourceIndex, signal: AbortSignal): Promise<boolean> {
  const path = `/${encodeURIComponent(index)}/_refresh`;
  const accept = [400, 403, 404, 405, 429, 503];
  const answer = await link.request({ method: "POST", path, accept }, "read", signal);
  if (answer.status >= 400) return false;
  const { _shards } = link.parse<{ readonly _shards?: { readonly failed?: number } }>(answer.text, "read");
  return _shards?.failed === 0;
}

/** The schemas of indices that have to be there. */
export async function requireSchemas(
  { link, index }: SourceIndex,
  phase: "open" | "read",
  signal: AbortSignal,
): Promise<IndexSchemas> {
  const schemas = await loadSchemas(link, index, phase, signal);
  if (schemas === undefined) {
    const what = `${link.label} does not exist: the cluster has no index "${index}"`;
    throw new P2PError("SOURCE_NOT_FOUND", `${what}; check the name, or write to it first`);
  }
  const [unnumbered] = [...schemas].find(([, schema]) => schema.unnumbered) ?? [];
  if (unnumbered !== undefined) throw unnumberedError(unnumbered, link.label);
  const [sourceless] = [...schemas].find(([, schema]) => schema.sourceless) ?? [];
  if (sourceless === undefined) return schemas;
  const named = sourceless === index ? link.label : `The index "${sourceless}" of ${link.label}`;
  const what = `${named} keeps no documents, since its _source is switched off`;
  throw new P2PError("SOURCE_NOT_FOUND", `${what}; read from where they came from`);
}

/** How many documents the server finds. */
export async function countDocuments(
  { link, index }: SourceIndex,
  filter: Clause,
  signal: AbortSignal,
): Promise<number> {
  const path = `/${encodeURIComponent(index)}/_count`;
  const body = filter === ALL ? {} : { body: JSON.stringify({ query: filter }) };
  const request = { method: "POST", path, ...body } as const;
  const answer = await link.json<{ count: number; _shards: { failed: number } }>(request, "read", signal);
  if (answer._shards.failed === 0) return answer.count;
  const what = `${link.label} could not be counted, because a part of the index is not available`;
  throw new P2PError("BUSY", `${what}; try again`, { retryable: true });
}
