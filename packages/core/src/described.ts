import { types } from "node:util";
import { P2PError } from "./errors.ts";

/**
 * What a thing is that stands where a plain object should, in words for an error; `undefined` for a plain object. A map,
 * a promise and the like have no fields of their own, and would be taken for an object that asks for nothing.
 */
export function notPlain(value: unknown): string | undefined {
  if (value === null) return "null";
  if (value === undefined) return "undefined";
  if (typeof value === "function") return "a function; call it and give what it returns";
  if (typeof value !== "object") return `a ${typeof value}`;
  if (Array.isArray(value)) return "an array";
  if (types.isPromise(value) || typeof (value as { then?: unknown }).then === "function") {
    return "a promise; await it first";
  }
  if (types.isMap(value)) return "a Map; give Object.fromEntries(map)";
  if (types.isSet(value)) return "a Set";
  if (value instanceof URLSearchParams) return "a URLSearchParams; give Object.fromEntries(params)";
  const prototype: unknown = Object.getPrototypeOf(value);
  // A plain object of another realm has a prototype of its own, which has none.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  const { name } = (value as { constructor?: { name?: string } }).constructor ?? {};
  return `an instance of ${name || "a class"}; give a plain object`;
}

/** @throws P2PError `INVALID_CONFIG` where something else than a plain object is given as options. */
export function assertPlain(name: string, value: unknown): void {
  const found = notPlain(value);
  if (found === undefined) return;
  throw new P2PError("INVALID_CONFIG", `Invalid configuration: ${name} must be an object, and this is ${found}`);
}
