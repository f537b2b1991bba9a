import type { P2PObject } from "./value-tree.ts";

/** Orders kept: of a record and of what is nested in it. */
const MOST_KEPT = 8;

/** Names of an order that is kept, at most: an object that is used as a map has ever others. */
const MOST_NAMES = 64;

/**
 * The fields of objects in the order of their names, with a cache: of a store's records nearly all have the same fields as
 * the one before, in the same order, and sorting them anew would cost as much as writing them.
 */
export class FieldOrders<Fields> {
  readonly #make: (names: readonly string[]) => Fields;
  readonly #kept: { readonly names: readonly string[]; readonly fields: Fields }[] = [];

  /** @param make what is kept of the names, which it gets in their order. */
  constructor(make: (names: readonly string[]) => Fields) {
    this.#make = make;
  }

  of(object: P2PObject): Fields {
    const names = Object.keys(object);
    for (const kept of this.#kept) if (areSame(names, kept.names)) return kept.fields;
    const fields = this.#make(names.toSorted());
    if (names.length > MOST_NAMES) return fields;
    if (this.#kept.length === MOST_KEPT) this.#kept.pop();
    this.#kept.unshift({ names, fields });
    return fields;
  }
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
