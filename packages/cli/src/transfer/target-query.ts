import type { P2PQuery } from "@omni/p2p-core";
import { queryFrom } from "../query/query.ts";

/** The records of a target that `--target-where` means: `all`, or those that meet conditions. */
export function targetQueryFrom(where: readonly string[]): P2PQuery {
  return where.length === 1 && where[0] === "all" ? {} : queryFrom({ where });
}
