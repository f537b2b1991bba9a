import { isPlainName } from "../mapping/names.ts";
import type { OpenedQuery } from "../query/source-index.ts";
import { SIDECAR } from "../types.ts";

/** The source fields to ask for; `undefined` for all, also where a name would be taken for a pattern. */
export function wantedFields({ plan: { query } }: OpenedQuery): readonly string[] | undefined {
  if (query.fields === undefined) return undefined;
  const needed = [...query.conditions, ...query.orderBy].map(({ field }) => field);
  const wanted = [...new Set(["id", SIDECAR, ...query.fields, ...needed])];
  return wanted.every(isPlainName) ? wanted : undefined;
}
