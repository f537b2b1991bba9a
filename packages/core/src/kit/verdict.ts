/** Error classification: from a code or a text of a driver to a code of ours, and whether to retry. */
import type { P2PErrorCode } from "../errors.ts";

/** What was being done when a driver or a server complained: it decides what an error that says little is called. */
export type Activity = "open" | "read" | "write";

/** What an error of a driver or a server comes to. */
export interface Verdict {
  /** The library's code; one for each activity where it matters what was being done. */
  readonly code: P2PErrorCode | Readonly<Record<Activity, P2PErrorCode>>;
  /** Whether the same may work at another time. Default `false`. */
  readonly retryable?: boolean;
  /** What to do about it, as part of a sentence. */
  readonly advice: string;
}

/** The codes of what failed and nobody knows more about. */
export const FAILED: Readonly<Record<Activity, P2PErrorCode>> = {
  open: "CONNECTION_FAILED",
  read: "READ_FAILED",
  write: "WRITE_FAILED",
};

/** The codes of a server that is away: while a store is opened nothing has been lost yet. */
export const LOST: Readonly<Record<Activity, P2PErrorCode>> = {
  open: "CONNECTION_FAILED",
  read: "CONNECTION_LOST",
  write: "CONNECTION_LOST",
};

/** The code of a verdict when this was being done. */
export function verdictCode({ code }: Pick<Verdict, "code">, activity: Activity): P2PErrorCode {
  return typeof code === "string" ? code : code[activity];
}

/** A table of verdicts by the codes of a driver, from lists of codes that mean the same. */
export function verdictsByCode<Code, V = Verdict>(
  rows: readonly (readonly [verdict: V, codes: readonly Code[]])[],
): ReadonlyMap<Code, V> {
  return new Map(rows.flatMap(([verdict, codes]) => codes.map((code) => [code, verdict] as const)));
}

/** The first verdict whose pattern a driver's own words meet: for those that give many things one code. */
export function verdictByText<V = Verdict>(
  rows: readonly (readonly [pattern: RegExp, verdict: V])[],
  text: string,
): V | undefined {
  return rows.find(([pattern]) => pattern.test(text))?.[1];
}
