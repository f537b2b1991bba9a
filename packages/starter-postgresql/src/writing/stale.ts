/** Stale descriptions: tables that others have changed since they were looked at. */
import { isP2PError } from "@omni/p2p-core/starter";
import { isServerError } from "../client/errors.ts";
import { OTHER_COLUMNS } from "./statements.ts";

/** How often a batch is begun anew when others change the table at the same moment. */
export const MOST_ROUNDS = 5;

/** A table, a column or a type that is not there any more. */
const GONE: ReadonlySet<string> = new Set(["42P01", "42703", "42704"]);

/** Whether a table, or a column, is not the one that it was described as. */
export function isStale(error: unknown): boolean {
  if (!isP2PError(error)) return false;
  const { cause } = error;
  // With a context it is that of a function, a trigger, or a row.
  return (
    isServerError(cause) && cause.where === undefined && (GONE.has(cause.code) || cause.message.includes(OTHER_COLUMNS))
  );
}
