import {
  idKey,
  type P2PId,
  type P2PQuery,
  type P2PValue,
  type ParsedQuery,
  parseQuery,
  type QueryCondition,
} from "@omni/p2p-core/starter";
import { type Key, keyName, sortKeys } from "../client/keys.ts";
import { isOwnKey, LEASES_KEY } from "../client/leases.ts";
import type { SlotRange } from "../client/slots.ts";
import { escapeGlob } from "./glob.ts";
import { keysOfIdText } from "./id-keys.ts";
import { parseNative } from "./native-query.ts";
import { slotsOfPart } from "./part-slots.ts";

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
  /** The marker and the key of leases, where they lie among the keys: they are none of them. */
  readonly except: readonly string[];
}

/** What of an endpoint decides which keys are its own. */
export interface KeyScope {
  readonly prefix: string;
  readonly marker?: string | undefined;
}

/** A query as this starter works with it. */
export interface RedisQuery extends ParsedQuery {
  readonly request: KeyRequest;
  /** Those that the request leaves open: they must hold for the records under its keys. */
  readonly conditions: readonly QueryCondition[];
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
  const conditions = parsed.conditions.filter((condition) => condition !== named?.condition);
  return {
    ...parsed,
    conditions,
    request: {
      keys: named && namedKeys(named.ids, prefix).filter((key) => !isOwnKey(key, marker)),
      pattern: pattern === "*" ? undefined : pattern,
      start: prefix + (native.match === undefined && start ? (start.value as string) : ""),
      type: native.type,
      slots: slotsOfPart(parsed.partition),
      except: [LEASES_KEY, ...(marker === undefined ? [] : [marker])].filter((key) => key.startsWith(prefix)),
    },
    filtered: conditions.length > 0,
  };
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
