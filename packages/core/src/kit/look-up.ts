/** What a query must be for records to be looked up by it. */
import { P2PError } from "../errors.ts";
import type { ParsedQuery } from "../storage/query.ts";

/**
 * Refuses a query of which no record by itself can be told whether it is one of those that it gives.
 *
 * @throws P2PError `UNSUPPORTED_QUERY` when it has a limit or an offset.
 */
export function assertAskableById({ limit, offset }: Pick<ParsedQuery, "limit" | "offset">): void {
  if (limit === Number.POSITIVE_INFINITY && offset === 0) return;
  throw new P2PError(
    "UNSUPPORTED_QUERY",
    "Records cannot be looked up by a query with a limit or an offset, since what it gives depends on the others; leave these out",
  );
}
