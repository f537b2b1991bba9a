/**
 * What a store may be unable to do without breaking the contract, and what that means. Whatever an adapter names here is
 * printed as not run, with the reason. What becomes of kinds of value is not said here but in the adapter's
 * `capabilities.valueTypes`.
 */
export const FEATURES = {
  "missing sources": "Telling a place that does not exist from an empty one. A store that only has keys cannot.",
  "large records": "Records of 2 MB.",
  "long ids": "Ids of 2,000 characters.",
  "typed ids": "Ids that come back with their type where they are not strings.",
  "one identity": 'Ids with one text being one identity, so that `1`, `1n` and `"1"` name one record.',
  "composite ids": "Ids that are objects or tagged values.",
  replacing: "Replacing, refusing and skipping a record under its id. A file only takes records at its end.",
  "mixed types": "One field that holds values of several types.",
  "awkward field names": "Any text as the name of a field.",
  "wide records": "Records of 400 fields.",
  sorting: "`orderBy`.",
  "sorted bytes": "`orderBy` on binary data, byte by byte.",
  "sorted kinds": "`orderBy` in the one order of values where a field holds values of several kinds.",
  "sorted id kinds": "Ties in `orderBy` broken in the core's order where ids are of several kinds.",
} as const;

/** The name of a thing that a store may be unable to do. */
export type Feature = keyof typeof FEATURES;

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
