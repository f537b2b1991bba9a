import { JSON_TAG, toJson } from "./json.ts";
import type { JsonValue } from "./json-value.ts";
import type { P2PValue } from "./value.ts";

/**
 * A text that two values share exactly when they are equal: their tagged JSON with the fields of every object in
 * order. Source of the idea: JSON Canonicalization Scheme, RFC 8785; the numbers here are those of JavaScript.
 */
export function canonicalText(value: P2PValue): string {
  return write(toJson(value));
}

function write(json: JsonValue): string {
  if (typeof json !== "object" || json === null) return JSON.stringify(json);
  if (Array.isArray(json)) return `[${json.map(write).join(",")}]`;
  const object = json as { readonly [key: string]: JsonValue };
  // The entries of an object with a field of the tag's name are a list already; sorting them makes them canonical too.
  if (object[JSON_TAG] === "object" && Array.isArray(object.value)) {
    const entries = (object.value as readonly (readonly [string, JsonValue])[]).map(
      ([key, inner]) => `${JSON.stringify(key)}:${write(inner)}`,
    );
    return `{{${entries.sort().join(",")}}}`;
  }
  const fields = Object.keys(object).sort();
  return `{${fields.map((key) => `${JSON.stringify(key)}:${write(object[key]!)}`).join(",")}}`;
}
