import type { JsonValue } from "@omni/p2p-core/starter";
import type { IndexSchemas } from "../mapping/schema.ts";
import type { Hit } from "./decode.ts";

/**
 * The locator of a document: what leads to it beside its id. Its index where the endpoint stands for several, and its routing
 * where it has one of its own.
 */
export interface DocumentLocator {
  readonly index?: string;
  readonly routing?: string;
}

/** What gives the locators of an endpoint's documents; `undefined` for those to which their ids lead alone. */
export function locators({
  index: name,
  schemas,
}: {
  readonly index: string;
  readonly schemas: IndexSchemas;
}): (hit: Hit) => JsonValue | undefined {
  // A name that is not the index's own may stand for other ones later.
  const alone = schemas.size === 1 && schemas.has(name);
  const known = new Map<string, JsonValue>();
  return ({ _index, _routing }) => {
    if (_routing !== undefined) return alone ? { routing: _routing } : { index: _index, routing: _routing };
    if (alone) return undefined;
    const locator = known.get(_index) ?? { index: _index };
    known.set(_index, locator);
    return locator;
  };
}

/** Whether a document lies where a locator says; a locator of another store says nothing of any document here. */
export function liesAt(
  { _index, _routing }: Pick<Hit, "_index" | "_routing">,
  locator: JsonValue | undefined,
): boolean {
  if (typeof locator !== "object" || locator === null || Array.isArray(locator)) return false;
  const { index = _index, routing } = locator as DocumentLocator;
  return index === _index && routing === _routing;
}

/** A text that tells where a document lies from all other places. */
export function placeOf({ _id, _index, _routing }: Pick<Hit, "_id" | "_index" | "_routing">): string {
  return JSON.stringify([_id, _index, _routing]);
}
