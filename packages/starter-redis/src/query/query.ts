import {
  foreignPartition,
  idKey,
  invalidNative,
  isIndivisible,
  nativePart,
  P2PError,
  type P2PId,
  type P2PQuery,
  type P2PValue,
  type ParsedQuery,
  parseQuery,
  partitionBounds,
  type QueryCondition,
  storePartition,
} from "@omni/p2p-core/starter";
import { inRanges, keySlot, partedSlots, SLOT_COUNT, type SlotRange } from "../client/slots.ts";
import { keysOfIdText } from "./id-keys.ts";
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
  /** What all names start with, as far as text tells. */
  readonly start: string;
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
      start: prefix + (native.match === undefined && start ? (start.value as string) : ""),
      type: native.type,
      slots: parsePartition(parsed.partition),
      except: marker?.startsWith(prefix) ? marker : undefined,
    },
    filtered: parsed.conditions.some((condition) => condition !== named?.condition),
  };
}

/**
 * {@link parseRedisQuery} for records that are asked for by their ids.
 *
 * @throws P2PError `UNSUPPORTED_QUERY` for what no key by itself can be held against: how many others there are, and a
 * pattern, which the server applies in a scan of all names alone.
 */
export function parseLookUpQuery(query: P2PQuery, scope: KeyScope): RedisQuery {
  const parsed = parseRedisQuery(query, scope);
  if (parsed.limit < Infinity || parsed.offset > 0) {
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      "Records cannot be looked up by a query with a limit or an offset, since what it gives depends on the others; leave these out",
    );
  }
  if ((parsed.native.redis as RedisNativeQuery | undefined)?.match !== undefined) {
    throw new P2PError(
      "UNSUPPORTED_QUERY",
      "Records cannot be looked up by native.redis.match, a pattern that Redis applies when it scans names; write where: { id: { prefix } }",
    );
  }
  return parsed;
}

/**
 * Makes a test of whether the reading of a query comes upon a key of this type at all; the fields of its record have no say
 * in it. The type counts only where the query asks for one.
 */
export function keyTest({ keys, start, type: wanted, slots }: KeyRequest): (key: Key, type?: string) => boolean {
  if (keys !== undefined) {
    const names = new Set(keys.map(keyName));
    return (key) => names.has(keyName(key));
  }
  const startBytes = Buffer.from(start);
  return (key, type) => {
    const starts = typeof key === "string" ? key.startsWith(start) : key.indexOf(startBytes) === 0;
    if (!starts || (slots !== undefined && !inRanges([slots], keySlot(Buffer.from(key as string))))) return false;
    // SCAN does not tell capitals from small letters either.
    return wanted === undefined || type?.toLowerCase() === wanted.toLowerCase();
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
  for (const id of ids) {
    if (id === null) continue;
    for (const key of keysOfIdText(idKey(id as P2PId), prefix)) keys.set(keyName(key), key);
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
