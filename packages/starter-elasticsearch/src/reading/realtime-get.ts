import { P2PError } from "@omni/p2p-core/starter";
import { type Link, reasonOf } from "../client/link.ts";
import type { IndexSchemas } from "../mapping/schema.ts";
import type { SourceIndex } from "../query/source-index.ts";
import type { Hit } from "../values/decode.ts";
import { placeOf } from "../values/locator.ts";

/** What there is of some ids at this moment, whether a search shows it already or not. */
export interface CurrentDocuments {
  readonly documents: readonly Hit[];
  /** Ids of which it cannot be told what there is. */
  readonly unsure: ReadonlyMap<string, P2PError>;
  /** Ids of which a search does not show what there is. */
  readonly ahead: ReadonlySet<string>;
}

/** Where a document with a certain id may lie. */
interface Address {
  readonly key: string;
  readonly index: string;
  readonly routing: string | undefined;
}

interface GotDocument {
  readonly _index: string;
  readonly _id: string;
  readonly _routing?: string;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
  readonly found?: boolean;
  readonly error?: Parameters<typeof reasonOf>[0];
}

/** Documents in one request. */
const MOST_AT_ONCE = 5000;

/**
 * What there is of some ids by the multi get API, which is not behind as a search may be: for one who has no right to refresh
 * the index. It finds no document of an unknown routing.
 *
 * @param shown what a search shows.
 * @param routed whether there may be documents with routings of their own.
 */
export async function currentDocuments(
  source: SourceIndex & { readonly schemas: IndexSchemas },
  keys: readonly string[],
  shown: readonly Hit[],
  routed: boolean,
  signal: AbortSignal,
): Promise<CurrentDocuments> {
  const { link, schemas } = source;
  const addresses = keys.flatMap((key) =>
    [...schemas.keys()].map((index): Address => ({ key, index, routing: undefined })),
  );
  for (const { _id, _index, _routing } of shown) {
    if (_routing !== undefined) addresses.push({ key: _id, index: _index, routing: _routing });
  }
  const unsure = new Map<string, P2PError>();
  const documents = new Map<string, Hit>();
  for (let start = 0; start < addresses.length; start += MOST_AT_ONCE) {
    const some = addresses.slice(start, start + MOST_AT_ONCE);
    for (const [i, got] of (await getAll(link, some, signal)).entries()) {
      const { key } = some[i]!;
      if (got.error !== undefined) unsure.set(key, getError(key, got, link.label));
      else if (got.found) documents.set(placeOf(got), { ...got, sort: [] });
    }
  }
  const ahead = new Set<string>();
  const places = new Map(shown.map((hit) => [placeOf(hit), hit]));
  for (const [place, { _id, _seq_no }] of documents) if (places.get(place)?._seq_no !== _seq_no) ahead.add(_id);
  for (const [place, { _id }] of places) if (!documents.has(place)) ahead.add(_id);
  if (routed) {
    const there = new Set([...documents.values()].map(({ _id }) => _id));
    for (const key of keys) if (!there.has(key) && !unsure.has(key)) unsure.set(key, hiddenError(key, link.label));
  }
  return { documents: [...documents.values()], unsure, ahead };
}

async function getAll(link: Link, addresses: readonly Address[], signal: AbortSignal): Promise<readonly GotDocument[]> {
  const docs = addresses.map(({ key, index, routing }) => ({
    _index: index,
    _id: key,
    // Without any field it would not tell the routing.
    _source: false,
    stored_fields: ["_routing"],
    ...(routing === undefined ? {} : { routing }),
  }));
  const request = { method: "POST", path: "/_mget", body: JSON.stringify({ docs }) } as const;
  const { docs: found = [] } = await link.json<{ readonly docs?: readonly GotDocument[] }>(request, "read", signal);
  if (found.length === docs.length) return found;
  const what = `${link.label} told of ${found.length} documents when it was asked for ${docs.length}`;
  throw new P2PError("READ_FAILED", `${what}; is there a proxy that changes answers?`);
}

function getError(key: string, { error }: GotDocument, label: string): P2PError {
  const { type, reason } = reasonOf(error) ?? { type: "error", reason: "no reason was given" };
  const what = `${label} did not tell whether it has the id ${JSON.stringify(key)}: ${type}: ${reason}`;
  const advice = "grant the privilege maintenance on the index, so that it can be refreshed and searched instead";
  return new P2PError("READ_FAILED", `${what}; ${advice}`, { retryable: type !== "routing_missing_exception" });
}

function hiddenError(key: string, label: string): P2PError {
  const what = `Whether ${label} has the id ${JSON.stringify(key)} cannot be told: documents there have routings of their own, and the index could not be refreshed`;
  return new P2PError("READ_FAILED", `${what}; grant the privilege maintenance on it`);
}
