import type { P2PQuery } from "@omni/p2p-core";
import { type P2POrder, parseQuery } from "@omni/p2p-core/starter";
import type { QueryFlags } from "../flags/query.ts";
import { UsageError } from "../usage-error.ts";
import { parseWhere } from "./where.ts";

/** The query that the flags of a command ask for. */
export function queryFrom(flags: QueryFlags): P2PQuery {
  const query: P2PQuery = {
    ...(flags.where && { where: parseWhere(flags.where) }),
    ...(flags.fields && { fields: flags.fields }),
    ...(flags.orderBy && { orderBy: flags.orderBy.map(parseOrder) }),
    ...(flags.limit !== undefined && { limit: flags.limit }),
    ...(flags.offset !== undefined && { offset: flags.offset }),
    ...(flags.native !== undefined && { native: parseNative(flags.native) }),
  };
  parseQuery(query);
  return query;
}

/** `created:desc` */
function parseOrder(text: string): P2POrder {
  const match = /^(.*):(asc|desc)$/s.exec(text);
  if (match) return { field: match[1]!, direction: match[2] as "asc" | "desc" };
  return { field: text };
}

function parseNative(text: string): NonNullable<P2PQuery["native"]> {
  try {
    const native: unknown = JSON.parse(text);
    if (typeof native === "object" && native !== null && !Array.isArray(native)) return native;
  } catch {}
  throw new UsageError(
    `--native must be a JSON object under the storage type, such as '{"sqlite":{"sql":"SELECT …"}}'`,
  );
}
