import {
  fromJson,
  getField,
  type JsonValue,
  type P2PObject,
  type P2PRecord,
  type P2PValue,
  toJson,
} from "@omni/p2p-core/starter";
import type { Document } from "mongodb";
import type { Dialect } from "../client/dialect.ts";
import { documentField } from "./document-field.ts";
import type { RecordEncoder } from "./encode.ts";
import { nearestNumber } from "./numbers.ts";

/**
 * A locator: the shard key's part of what MongoDB calls the document key, with the paths as they are in the key. What is
 * missing counts as null there.
 *
 * @param paths of the shard key, at least one
 */
export function locatorOf(record: P2PRecord, paths: readonly string[]): JsonValue {
  return Object.fromEntries(paths.map((path) => [path, toJson(valueAt(record, path))]));
}

/**
 * The locator in a document key, in which paths are written out as names or nested as in the document; `undefined` where a
 * part of it is missing, as in what was told before the collection was sharded.
 */
export function locatorOfKey(key: P2PRecord, paths: readonly string[]): JsonValue | undefined {
  if (paths.length === 0) return undefined;
  const values = paths.map((path) => [path, getField(key, path) ?? valueAt(key, path)] as const);
  if (values.some(([, value]) => value === null)) return undefined;
  return Object.fromEntries(values.map(([path, value]) => [path, toJson(value)]));
}

/** A filter for documents with this locator; `undefined` where it is none of a collection with this shard key. */
export function locatorFilter(
  locator: JsonValue | undefined,
  paths: readonly string[],
  encoder: RecordEncoder,
  dialect: Dialect,
): Document | undefined {
  if (paths.length === 0 || !isObject(locator) || !paths.every((path) => Object.hasOwn(locator, path)))
    return undefined;
  const filter: Document = {};
  for (const path of paths) {
    const value = fromJson(locator[path]!);
    filter[path] = { $eq: nearestNumber(value, dialect) ?? encoder.value(value) };
  }
  return filter;
}

/** Whether two locators are the same; the order of their paths is that of the shard key. */
export function isSameLocator(a: JsonValue | undefined, b: JsonValue | undefined): boolean {
  return a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

function isObject(json: JsonValue | undefined): json is { readonly [path: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

/** Arrays cannot lie on the way to a value of a shard key. */
function valueAt(record: P2PRecord, path: string): P2PValue {
  const [first, ...others] = path.split(".");
  let value = getField(record, documentField(first!));
  for (const name of others) {
    if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return null;
    value = getField(value as P2PObject, name);
  }
  return value ?? null;
}
