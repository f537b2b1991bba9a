/** What MongoDB has and FerretDB 1.24 on SQLite does not, and what FerretDB does instead. */
export const ferretdbBehaviour = {
  "Decimal128 values": "closes the connection",
  "ids of different types that look alike":
    "one id where their JSON is the same: 0 and the date of 1970, binary data and its base64; error 11000 for the second",
  "NaN values": "closes the connection",
  "infinite numbers": "error 2",
  "negative zero": "comes back as 0",
  "MinKey and MaxKey": "closes the connection, in a filter too",
  "Code values": "closes the connection",
  "Symbol values": "closes the connection",
  "DBRef values": "error 2",
  "nested arrays": "error 2",
  "field names with a dot": "error 2",
  "field names that begin with $": "error 2",
  "errors of single updates":
    "an update command ends at its first error, ordered or not, which is always reported at index 0; nothing after it is done",
  "positions of upserted ids": "numbered among the upserted ones, not among the statements",
  "the 16 MB limit": "stores a larger document",
  "client.bulkWrite": "no such command",
  "update pipelines": "error 14",
  arrayFilters: "error 238",
  transactions: "error 9 at the first write",
  "change streams": "error 238",
  "$expr comparisons": "error 238",
  "min and max of a cursor": "ignored: returns everything",
  "$natural order": "error 238",
  collation: "error 238",
  noCursorTimeout: "error 238",
  "$where, $text, $jsonSchema and $sampleRate": "error 2",
  "$min and $max accumulators": "error 238",
  $sample: "error 238",
  $bucketAuto: "error 238",
  "$lookup and $facet": "error 238",
  "$out and $merge": "error 238",
  splitVector: "error 59",
  "TTL and partial indexes": "error 238",
  "text, hashed and wildcard indexes": "error 27 or 1",
  "validators, views and time series": "error 238",
  collMod: "error 238",
  "user names and passwords": "error 18: knows no SCRAM; with PLAIN it takes any",
} as const satisfies Record<string, string>;

/** The name of something that FerretDB lacks. */
export type FerretdbLack = keyof typeof ferretdbBehaviour;

/** The names of everything that FerretDB lacks: for tests that print the cases which they could not run. */
export const ferretdbLacks: readonly FerretdbLack[] = Object.keys(ferretdbBehaviour) as FerretdbLack[];

/**
 * Whether the product, as a suite gets to know it, lacks what is named.
 *
 * @example
 * it.skipIf(lacks(product, "Decimal128 values"))("keeps Decimal128 values", ...)
 */
export function lacks(product: string, name: FerretdbLack): boolean {
  return product === "FerretDB" && ferretdbLacks.includes(name);
}
