import { isUtf8 } from "node:buffer";
import {
  foreignPartition,
  idKey,
  invalidNative,
  isIndivisible,
  nativePart,
  type P2PId,
  type P2PQuery,
  type P2PValue,
  type ParsedQuery,
  parseQuery,
  partitionBounds,
  type QueryCondition,
  storePartition,
} from "@omni/p2p-core/starter";
import { partedSlots, SLOT_COUNT, type SlotRange } from "../client/slots.ts";
import { escapeGlob, type Key, keyName, STORE, sortKeys } from "./keys.ts";

/** What only Redis understands, under `native.redis` of a query. */
export interface RedisNativeQuery {
  /** A pattern of `SCAN … MATCH` for the keys, without the endpoint's prefix: `"2024-*"`. Its `*?[]\` have meaning. */
  readonly match?: string;
  /** Only keys of this type: `string`, `hash`, `list`, `set`, `zset`, `stream` or a module's. */
  readonly type?: string;
}

declare global {
  interface P2PNativeQueries {
    redis: RedisNativeQuery;
  }
}

/** Which keys a query is about, as far as their names and types tell. */
export interface KeyRequest {
  /** The keys themselves, in order, where `where` names them; there is nothing to scan then. */
  readonly keys: readonly Key[] | undefined;
  /** For `MATCH`; `undefined` for all keys. */
  readonly pattern: string | undefined;
  /** For `TYPE`. */
  readonly type: string | undefined;
  /** The hash slots of one part of a query. */
  readonly slots: SlotRange | undefined;
  /** The marker, where it lies among the keys: it is none of them. */
  readonly except: string | undefined;
}

/** What of an endpoint decides which keys are its own. */
export interface KeyScope {
  readonly prefix: string;
  readonly marker?: string | undefined;
}

/** A query as this starter works with it. */
export interface RedisQuery extends ParsedQuery {
  readonly request: KeyRequest;
  /** Whether records must be read to tell which of them `where` wants. */
  readonly filtered: boolean;
}

/**
 * Checks a query, and makes of its conditions on the id what Redis can answer by key or pattern.
 *
 * @throws P2PError `INVALID_QUERY` or `UNSUPPORTED_QUERY`
 */
export function parseRedisQuery(query: P2PQuery, { prefix, marker }: KeyScope): RedisQuery {
  const parsed = parseQuery(query);
  const native = parseNative(parsed);
  const named = native.match === undefined && native.type === undefined ? namedIds(parsed.conditions) : undefined;
  const start = parsed.conditions.find(({ field, operator }) => field === "id" && operator === "prefix");
  const glob = native.match ?? (start ? `${escapeGlob(start.value as string)}*` : "*");
  const pattern = `${escapeGlob(prefix)}${glob}`;
  return {
    ...parsed,
    request: {
      keys: named && namedKeys(named.ids, prefix).filter((key) => key !== marker),
      pattern: pattern === "*" ? undefined : pattern,
      type: native.type,
      slots: parsePartition(parsed.partition),
      except: marker?.startsWith(prefix) ? marker : undefined,
    },
    filtered: parsed.conditions.some((condition) => condition !== named?.condition),
  };
}

function parseNative(query: ParsedQuery): RedisNativeQuery {
  const native = nativePart(query, { store: STORE, product: "Redis", keys: ["match", "type"] }) ?? {};
  for (const [key, value] of Object.entries(native)) {
    if (value !== undefined && typeof value !== "string") throw invalidNative(STORE, `${key} must be a string`);
  }
  return native;
}

interface NamedIds {
  readonly condition: QueryCondition;
  readonly ids: readonly P2PValue[];
}

/** The condition that says which ids there are, if there is one. */
function namedIds(conditions: readonly QueryCondition[]): NamedIds | undefined {
  const condition = conditions.find(
    ({ field, operator }) => field === "id" && (operator === "eq" || operator === "in"),
  );
  if (condition === undefined) return undefined;
  return { condition, ids: condition.operator === "in" ? (condition.value as readonly P2PValue[]) : [condition.value] };
}

function namedKeys(ids: readonly P2PValue[], prefix: string): Key[] {
  const keys = new Map<string, Key>();
  const add = (key: Key) => keys.set(keyName(key), key);
  for (const id of ids) {
    if (id === null) continue;
    const text = idKey(id as P2PId);
    // An empty id is none; its key would be the bare prefix.
    if (text !== "") add(prefix + text);
    // A key that is not UTF-8 has bytes as its id, of which this is the text.
    const bytes = /^(?:[0-9a-f]{2})+$/.test(text) ? Buffer.from(text, "hex") : undefined;
    if (bytes !== undefined && !isUtf8(bytes)) add(Buffer.concat([Buffer.from(prefix), bytes]));
  }
  return sortKeys([...keys.values()]);
}

/** Parts of a query by the hash slots of the keys; a query with an order, an offset or a limit stays whole. */
export function partitionQuery(query: P2PQuery, parts: number, scope: KeyScope): P2PQuery[] {
  const parsed = parseRedisQuery(query, scope);
  if (isIndivisible(parsed, parts) || parsed.request.keys) return [query];
  return partedSlots(parts).map(([from, to]) => ({
    ...query,
    partition: storePartition(STORE, { slots: [from, to] }),
  }));
}

function parsePartition(partition: ParsedQuery["partition"]): SlotRange | undefined {
  const bounds = partitionBounds(STORE, partition, ["slots"]);
  if (bounds === undefined) return undefined;
  const { slots } = bounds;
  const valid = Array.isArray(slots) && slots.length === 2 && slots.every((slot) => isSlot(slot));
  if (!valid) throw foreignPartition(STORE);
  return slots as unknown as SlotRange;
}

function isSlot(slot: unknown): boolean {
  return Number.isInteger(slot) && (slot as number) >= 0 && (slot as number) < SLOT_COUNT;
}
