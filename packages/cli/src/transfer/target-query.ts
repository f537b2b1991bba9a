import type { P2PQuery } from "@omni/p2p-core";
import { queryFrom } from "../query/query.ts";
import { UsageError } from "../usage-error.ts";

/** The records of a target that `--target-where` means: `all`, or those that meet conditions. */
export function targetQueryFrom(where: readonly string[]): P2PQuery {
  if (where.length === 1 && where[0] === "all") return {};
  try {
    return queryFrom({ where });
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(error.message.replace("--where ", "--target-where "), error.next);
  }
}
