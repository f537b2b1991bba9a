/** ` (did you mean "docs"?)` when one of the names is nearly the one given, else nothing. */
export function nearName(given: string, names: readonly string[]): string {
  const near = names.find((name) => bare(name) === bare(given)) ?? names.find((name) => isOneSlipAway(name, given));
  return near === undefined ? "" : ` (did you mean "${near}"?)`;
}

/** A name without what people get wrong most: case, underscores, and the plural. */
function bare(name: string): string {
  return name
    .toLowerCase()
    .replace(/[\s_-]/g, "")
    .replace(/s$/, "");
}

/** Whether one letter is missing, added or wrong, or two have changed places. */
function isOneSlipAway(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1 || Math.min(a.length, b.length) < 3) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [left, right] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  if (left.length <= 1 && right.length <= 1) return true;
  return left.length === 2 && right.length === 2 && left[0] === right[1] && left[1] === right[0];
}
