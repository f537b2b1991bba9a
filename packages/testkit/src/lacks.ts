/**
 * What a store may be unable to do without breaking the contract. Whatever is named here is printed as not run, with
 * the reason. What becomes of kinds of value is not said here but in the adapter's `capabilities.valueTypes`.
 */
export type Feature =
  /** Telling a place that does not exist from an empty one: where a store has only keys, nothing is "missing". */
  | "missing sources"
  /** Records of 2 MB. */
  | "large records"
  /** Ids of 2,000 characters. */
  | "long ids"
  /** Ids that come back with their type, where they are not strings. */
  | "typed ids"
  /** Ids that are objects or tagged values. */
  | "composite ids"
  /** One field holding values of several types. */
  | "mixed types"
  /** Any text as a field name. */
  | "awkward field names"
  /** Records of 400 fields. */
  | "wide records"
  /** `orderBy`. */
  | "sorting";

/** Something that the store cannot do, and why. */
export interface Lack {
  /** A {@link Feature}, or the title of one check. */
  readonly what: Feature | (string & {});
  readonly reason: string;
}

/** The lacks of an adapter, which remember whether they were of use. */
export class Lacks {
  readonly #reasons: ReadonlyMap<string, string>;
  readonly #used = new Set<string>();

  constructor(lacks: readonly Lack[]) {
    this.#reasons = new Map(lacks.map(({ what, reason }) => [what, reason]));
  }

  /** Why a check is not run, or `undefined` when it is. */
  reasonFor(title: string, needs: readonly Feature[]): string | undefined {
    for (const what of [title, ...needs]) {
      const reason = this.#reasons.get(what);
      if (reason === undefined) continue;
      this.#used.add(what);
      return `${what}: ${reason}`;
    }
    return undefined;
  }

  /** Whether a feature is lacking. */
  has(what: Feature): boolean {
    return this.#reasons.has(what);
  }

  /** Throws when a lack names nothing, so that a renamed check does not stay switched off by a stale line. */
  assertAllUsed(titles: readonly string[]): void {
    const unused = [...this.#reasons.keys()].filter((what) => !this.#used.has(what));
    if (unused.length === 0) return;
    throw new Error(
      `lacks names ${unused.map((what) => JSON.stringify(what)).join(", ")}, which is neither a feature nor a check. ` +
        `The checks are:\n  ${titles.join("\n  ")}`,
    );
  }
}
