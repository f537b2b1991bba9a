/** The known word that a mistyped one is nearest to, if any is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  // Nobody mistypes a name that long, and to compare it would cost the product of both lengths.
  if (word.length > 100) return undefined;
  const [best] = known
    .map((candidate) => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((found) => found.distance <= Math.max(1, Math.floor(found.candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance);
  return best?.candidate;
}

/** Levenshtein's distance. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (letter === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}
