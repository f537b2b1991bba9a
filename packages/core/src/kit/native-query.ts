/** Native queries: takes the part for one store out of a query, and refuses the rest. */
import { P2PError } from "../errors.ts";
import { shownName, suggest } from "../suggest.ts";

/** What a store has in its own language. */
export interface NativeLanguage {
  /** The storage type: its part of a query's `native`. */
  readonly store: string;
  /** How the store is called in messages. */
  readonly product: string;
  /** The keys of its part; none where the store has no native queries. */
  readonly keys: readonly string[];
}

/**
 * The part of a query's `native` that is a store's own: a plain object of known keys, whose values are for the store to check.
 *
 * @returns `undefined` when the query has none.
 * @throws P2PError `UNSUPPORTED_QUERY` when there is another store's, `INVALID_QUERY` when its own is no object or has a key that
 * is not known.
 */
export function nativePart(
  { native }: { readonly native: object },
  { store, product, keys }: NativeLanguage,
): Readonly<Record<string, unknown>> | undefined {
  for (const other of Object.keys(native)) {
    if (other === store && keys.length > 0) continue;
    const instead = keys.length > 0 ? `; use native.${store}` : ", which has no native queries";
    throw new P2PError("UNSUPPORTED_QUERY", `native.${shownName(other)} cannot be used on ${product}${instead}`);
  }
  const own: unknown = (native as Readonly<Record<string, unknown>>)[store];
  if (own === undefined) return undefined;
  if (typeof own !== "object" || own === null || Array.isArray(own)) {
    throw invalidNative(store, `must be an object { ${keys.join(", ")} }`);
  }
  const unknown = Object.keys(own).find((key) => !keys.includes(key));
  if (unknown !== undefined) {
    const name = shownName(unknown);
    throw invalidNative(store, `has the unknown key "${name}"${suggest(unknown, keys)}; it has ${keys.join(", ")}`);
  }
  return own as Readonly<Record<string, unknown>>;
}

/** The error of a native query that its store cannot make out. */
export function invalidNative(store: string, trouble: string): P2PError {
  return new P2PError("INVALID_QUERY", `Invalid query: native.${store} ${trouble}`);
}
