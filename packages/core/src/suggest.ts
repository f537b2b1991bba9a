/** ` (did you mean "table"?)` when a known name is near, else nothing. */
export function suggest(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  return near === undefined ? "" : ` (did you mean "${near}"?)`;
}

/**
 * The known name that a mistyped one is nearest to, if any is near: the same but for case, spaces, underscores, hyphens and the
 * plural, else the one with the fewest slips, at most a third of its letters.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // Nobody mistypes a name that long, and to compare it would cost the product of both lengths.
  if (name.length > 100) return undefined;
  const plain = bare(name);
  const same = plain === "" ? undefined : known.find((candidate) => bare(candidate) === plain);
  if (same !== undefined) return same;
  return known
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0]?.candidate;
}

/** A name without what people get wrong most. */
function bare(name: string): string {
  return name
    .toLowerCase()
    .replace(/[\s_-]/g, "")
    .replace(/s$/, "");
}

/** A name for a message, cut where it is too long to be one. */
export function shownName(name: string): string {
  return name.length <= 100 ? name : `${name.slice(0, 80)}… (${name.length} characters)`;
}

/** Levenshtein's distance between two short names, in which two letters that changed places are one mistake. */
export function editDistance(a: string, b: string): number {
  let last: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) next[j] = Math.min(next[j]!, last[j - 2]! + 1);
    }
    last = row;
    row = next;
  }
  return row[b.length]!;
}
