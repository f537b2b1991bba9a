/** Selection of collections by glob patterns of their names. */
import { P2PError } from "../../errors.ts";
import { type CollectionList, collectionText, type ListedCollection } from "../../storage/collections.ts";
import { suggest } from "../../suggest.ts";
import type { DatabaseSelection } from "./options.ts";

/** Collections that were chosen, and what there is to say of it. */
interface Selected {
  readonly chosen: readonly ListedCollection[];
  readonly notes: readonly string[];
}

/** Names that a message tells at most. */
const MOST_TOLD = 20;

/**
 * The collections that are meant.
 *
 * @param label how messages call the database.
 * @throws P2PError `INVALID_CONFIG` for a name that is not there; `SOURCE_NOT_FOUND` where nothing is chosen; `UNSUPPORTED_OPERATION` where
 * the store cannot tell all of them.
 */
export function selectCollections(
  { collections, incomplete }: CollectionList,
  { collections: wanted, exclude = [] }: DatabaseSelection,
  label: string,
): Selected {
  const notes: string[] = [];
  const names = collections.flatMap(namesOf);
  const asked = wanted?.map(patternOf);
  const left = exclude.map(patternOf);
  if (incomplete !== undefined && (asked === undefined || asked.some(({ isGlob }) => isGlob))) {
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `Not all of ${label} can be listed: ${incomplete}. Name those that are meant one by one: collections (--tables 'a,b')`,
    );
  }
  for (const pattern of [...(asked ?? []), ...left]) {
    if (names.some((name) => pattern.fits(name))) continue;
    if (pattern.isGlob || !asked?.includes(pattern)) {
      notes.push(`Nothing in ${label} is called "${pattern.text}"`);
      continue;
    }
    throw new P2PError(
      "INVALID_CONFIG",
      `Invalid configuration: there is no "${pattern.text}" in ${label}${suggest(pattern.text, names)}; it has ${told(collections)}`,
    );
  }
  const chosen: ListedCollection[] = [];
  const views: ListedCollection[] = [];
  for (const collection of collections) {
    const own = namesOf(collection);
    const fits = ({ fits }: Pattern) => own.some(fits);
    if (left.some(fits) || (asked !== undefined && !asked.some(fits))) continue;
    const isNamed = asked?.some((pattern) => !pattern.isGlob && fits(pattern)) === true;
    if (collection.kind === "view" && !isNamed) views.push(collection);
    else chosen.push(collection);
  }
  if (views.length > 0) {
    notes.push(
      `${views.length === 1 ? "A view is" : `${views.length} views are`} left out, since nobody named ${views.length === 1 ? "it" : "them"}: ${told(views)}`,
    );
  }
  if (chosen.length === 0) {
    throw new P2PError(
      "SOURCE_NOT_FOUND",
      collections.length === 0
        ? `There is nothing in ${label}; check the path or the database, and that the user may see what is in it`
        : `Nothing in ${label} is left to be done; it has ${told(collections)}`,
    );
  }
  return { chosen, notes };
}

/** How a collection may be called: by its name, where that leads to it, and with its namespace. */
function namesOf(collection: ListedCollection): string[] {
  const short = collectionText(collection);
  const full = collectionText({ ...collection, visible: false });
  return short === full ? [full] : [short, full];
}

function told(collections: readonly ListedCollection[]): string {
  const names = collections.slice(0, MOST_TOLD).map(collectionText);
  if (collections.length > MOST_TOLD) names.push(`${collections.length - MOST_TOLD} more`);
  return names.join(", ");
}

/** A glob, in which a backslash takes the meaning of what follows it. */
interface Pattern {
  readonly text: string;
  readonly isGlob: boolean;
  readonly fits: (name: string) => boolean;
}

/** Characters that mean something in a regular expression. */
const SYNTAX = /[\^$\\.*+?()[\]{}|/]/;

function patternOf(text: string): Pattern {
  if (typeof text !== "string" || text === "") {
    throw new P2PError("INVALID_CONFIG", "Invalid configuration: a pattern of names must be a text that is not empty");
  }
  const pieces = text.match(/\\.|[^\\]|\\$/gsu) ?? [];
  const isGlob = pieces.some((piece) => piece === "*" || piece === "?");
  const parts: string[] = [];
  for (const piece of pieces) {
    // Two stars in a row mean no more than one, and would take longer.
    if (piece === "*") {
      if (parts.at(-1) !== ".*") parts.push(".*");
    } else if (piece === "?") parts.push(".");
    else parts.push((piece.length > 1 && piece.startsWith("\\") ? piece.slice(1) : piece).replace(SYNTAX, "\\$&"));
  }
  const expression = new RegExp(`^${parts.join("")}$`, "su");
  return { text, isGlob, fits: (name) => expression.test(name) };
}
