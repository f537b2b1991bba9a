/** Name mapping: what collections of a source are called in the target, by rules, with no two of one name. */
import { P2PError } from "../../errors.ts";
import { type CollectionName, collectionText, type ListedCollection } from "../../storage/collections.ts";
import { type EndpointInfo, endpointLabel } from "../../storage/endpoint.ts";
import type { CollectionCatalogue } from "../../storage/service.ts";

/** A rule for names. */
interface RenameRule {
  readonly text: string;
  readonly from: RegExp;
  readonly to: string;
}

/** A collection of the source and its place in the target. */
export interface MappedCollection {
  readonly collection: ListedCollection;
  /** With its namespace where it needs one. */
  readonly name: string;
  readonly targetName: string;
  /** The name in the target in its parts. */
  readonly becomes: CollectionName;
  readonly target: EndpointInfo;
}

/**
 * Parses rules such as `public.(.*)=$1`.
 *
 * @throws P2PError `INVALID_CONFIG`
 */
export function parseRenames(rules: readonly string[]): RenameRule[] {
  return rules.map((text) => {
    // The last one: a regular expression may have others.
    const at = typeof text === "string" ? text.lastIndexOf("=") : -1;
    if (at < 1 || at === text.length - 1) {
      throw invalid(`a rename rule must be <regular expression>=<replacement>, such as public.(.*)=$1, not "${text}"`);
    }
    try {
      return { text, from: new RegExp(`^(?:${text.slice(0, at)})$`, "u"), to: text.slice(at + 1) };
    } catch (cause) {
      throw invalid(`the rename rule "${text}" has no valid regular expression before its last "="`, cause);
    }
  });
}

/**
 * Gives each collection its name and endpoint in the target.
 *
 * @throws P2PError `INVALID_CONFIG` for names that the target cannot have, and for several collections that would become one.
 */
export function mapNames(
  collections: readonly ListedCollection[],
  rules: readonly RenameRule[],
  catalogue: CollectionCatalogue,
  target: EndpointInfo,
): MappedCollection[] {
  const label = endpointLabel(target);
  const mapped = collections.map((collection): MappedCollection => {
    const name = collectionText(collection);
    const becomes = renamed(collection, rules);
    const targetName = collectionText(becomes);
    try {
      return { collection, name, targetName, becomes, target: catalogue.endpointOf(target, becomes) };
    } catch (cause) {
      const reason = (cause as Error).message.replace(/^Invalid endpoint .*?: /, "");
      const way = `give it another name by a rename rule (--rename '${name}=…'), or leave it out: exclude (--exclude '${name}')`;
      throw invalid(`"${name}" cannot go to ${label} as "${targetName}": ${reason}; ${way}`, cause);
    }
  });
  assertDistinct(mapped, catalogue, label);
  return mapped;
}

function renamed(collection: ListedCollection, rules: readonly RenameRule[]): CollectionName {
  const full = collectionText({ ...collection, visible: false });
  const short = collectionText(collection);
  for (const { from, to, text } of rules) {
    const name = [full, short].find((candidate) => from.test(candidate));
    if (name === undefined) continue;
    const becomes = name.replace(from, to);
    if (becomes === "") throw invalid(`the rename rule "${text}" leaves nothing of the name "${short}"`);
    return parseName(becomes);
  }
  const { namespace, name, visible } = collection;
  return visible === true || namespace === undefined ? { name } : { namespace, name };
}

/** `public.docs`; what stands within double quotes is one name, dots included. */
function parseName(text: string): CollectionName {
  const match = /^(?:"((?:[^"]|"")+)"|([^".]+))(?:\.(?:"((?:[^"]|"")+)"|(.+)))?$/su.exec(text);
  if (!match) return { name: text };
  const [, quoted, plain, quotedNext, plainNext] = match;
  const first = quoted?.replaceAll('""', '"') ?? plain!;
  const second = quotedNext?.replaceAll('""', '"') ?? plainNext;
  return second === undefined ? { name: first } : { namespace: first, name: second };
}

/** What two endpoints of one database share where they lead to one collection, whatever it is called. */
export function placeOf({ database, metadata }: EndpointInfo, { nameForm }: CollectionCatalogue): string {
  const text = JSON.stringify([database, Object.entries(metadata ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))]);
  return nameForm?.(text) ?? text;
}

function assertDistinct(mapped: readonly MappedCollection[], catalogue: CollectionCatalogue, label: string): void {
  const formOf = (name: string) => catalogue.nameForm?.(name) ?? name;
  const byForm = new Map<string, MappedCollection>();
  const byPlace = new Map<string, MappedCollection>();
  for (const one of mapped) {
    const form = formOf(one.targetName);
    const place = placeOf(one.target, catalogue);
    const other = byForm.get(form) ?? byPlace.get(place);
    byForm.set(form, one);
    byPlace.set(place, one);
    if (other === undefined) continue;
    if (form !== formOf(other.targetName)) throw metError(other, one, label);
    const alike = other.targetName === one.targetName ? "" : ", which tells them not apart by the case of letters";
    throw invalid(
      `"${other.name}" and "${one.name}" would both become "${one.targetName}" in ${label}${alike}; ${wayOut(one)}`,
    );
  }
}

/** The refusal of two that have different names in the target, both of which lead to one collection. */
export function metError(one: MappedCollection, other: MappedCollection, label: string): P2PError {
  const [first, second] = [one, other].map(({ name, targetName }) =>
    name === targetName ? `"${name}"` : `"${name}" as "${targetName}"`,
  );
  return invalid(
    `${first} and ${second} would be written into one and the same collection of ${label}, to which both names lead there; ${wayOut(other)}`,
  );
}

function wayOut({ name }: MappedCollection): string {
  return `give one of them another name by a rename rule (--rename '${name}=…'), or leave it out: exclude (--exclude '${name}')`;
}

function invalid(what: string, cause?: unknown): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`, { cause });
}
