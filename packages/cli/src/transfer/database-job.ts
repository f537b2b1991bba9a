/** A job over the collections of a database, as the command line knows it. */
import type { FollowOptions, MirrorOptions } from "@omni/p2p-core";
import type { DatabaseSelection } from "@omni/p2p-core/engine";
import type { DatabaseFlags } from "../flags/database.ts";
import { UsageError } from "../usage-error.ts";
import type { TransferJob } from "./job.ts";

/** What is done with each collection. */
export type DatabaseVerb = "copy" | "mirror" | "follow";

/** Beside what a transfer of one collection is told. */
export interface DatabaseJobGiven {
  readonly verb: DatabaseVerb;
  readonly selection: DatabaseSelection;
  /** How many at a time; the core's own where it is not said. */
  readonly jobs: number | undefined;
  /** What mirrors and follows are told beside copies. */
  readonly own: Pick<MirrorOptions, "deletes" | "maxDeletes" | "allowEmptySource"> &
    Pick<FollowOptions, "every" | "reconcileEvery" | "lease">;
  /** The id that the user gave. */
  readonly transferId: string | undefined;
}

/** Flags that choose records of one collection, and would mean something else in each of many. */
const OF_ONE = ["where", "fields", "orderBy", "limit", "offset", "native", "targetWhere", "distributed"] as const;

/**
 * The selection that flags make.
 *
 * @throws UsageError for flags that have no meaning for many collections.
 */
export function selectionFrom({ all, tables, exclude, rename, ...others }: DatabaseFlags): DatabaseSelection {
  const given = others as Readonly<Record<string, unknown>>;
  const stray = OF_ONE.find((name) => given[name] !== undefined);
  if (stray !== undefined) {
    const flag = `--${stray.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new UsageError(
      `${flag} is about one collection, and this is about many; copy that one by a command of its own`,
    );
  }
  if (typeof given.deadLetter === "string") {
    throw new UsageError(
      "The records that fail go to a file for each collection in the state folder; --dead-letter names one for all",
      "leave --dead-letter out, or give --state-dir <folder>",
    );
  }
  if (all === true && tables !== undefined)
    throw new UsageError("--all means every one, and --tables some; give one of them");
  return { collections: tables, exclude, rename };
}

/** @throws UsageError for flags of a database where there is none. */
export function assertOfOne({ rename, jobs }: DatabaseFlags): void {
  const stray = rename !== undefined ? "--rename" : jobs !== undefined ? "--jobs" : undefined;
  if (stray !== undefined) throw new UsageError(`${stray} goes with --all, --tables or --exclude`);
}

/** How a job over a database is called in messages and on the screen. */
export function titleOf({ name, source, target }: TransferJob): string {
  return `${name}: ${source.shown} → ${target.shown}`;
}
