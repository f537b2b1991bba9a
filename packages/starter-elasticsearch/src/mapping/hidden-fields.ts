import { P2PError, type ParsedQuery } from "@omni/p2p-core/starter";

/** The fields that a mapping leaves out of `_source`, as patterns: those that it excludes, and all but those that it includes. */
export interface HiddenFields {
  readonly includes: readonly string[];
  readonly excludes: readonly string[];
}

/** What is left out, in words; `undefined` when nothing is. */
export function hiddenText({ includes, excludes }: HiddenFields): string | undefined {
  const said = [
    ...(excludes.length > 0 ? [excludes.join(", ")] : []),
    ...(includes.length > 0 && !includes.includes("*") ? [`all but ${includes.join(", ")}`] : []),
  ];
  return said.length === 0 ? undefined : said.join(" and ");
}

/** Whether a field, or a part of it, is left out. */
export function isHidden(name: string, { includes, excludes }: HiddenFields): boolean {
  const meets = (pattern: string): boolean => pattern.startsWith(`${name}.`) || patternOf(pattern).test(name);
  const included = includes.length === 0 || includes.some((pattern) => patternOf(pattern).test(name));
  return !included || excludes.some(meets);
}

/** A pattern names a field with all that is in it. */
function patternOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$+?.()|[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}(?:\\..*)?$`, "s");
}

/**
 * Makes sure that no field which a query asks for is left out of the documents.
 *
 * @throws P2PError `UNSUPPORTED_QUERY`
 */
export function requireVisible(
  { fields, conditions, orderBy }: ParsedQuery,
  schemas: Iterable<readonly [index: string, schema: { readonly hidden: HiddenFields }]>,
  label: string,
): void {
  for (const [index, { hidden }] of schemas) {
    const said = hiddenText(hidden);
    if (said === undefined) continue;
    const needed = [...(fields ?? []), ...[...conditions, ...orderBy].map(({ field }) => field)];
    if (fields !== undefined && !needed.some((name) => isHidden(name, hidden))) continue;
    const what = `${label} cannot be read whole: the mapping of the index "${index}" leaves fields out of _source (${said})`;
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      `${what}, so no document shows them; name the fields that you want with "fields", or read from where they came from`,
    );
  }
}
