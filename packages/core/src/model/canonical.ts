/** Serialises values canonically: one text for each value, by which records are hashed and compared. */
import { FieldOrders } from "./field-orders.ts";
import { JSON_TAG, toJson } from "./json.ts";
import { type P2PObject, type P2PValue, type TaggedValue, valueType } from "./value-tree.ts";
import { type SingleObject, singleKindNamed } from "./value-types.ts";

/**
 * A text that two values share exactly when they are equal: their tagged JSON with the fields of every object in
 * order. Source of the idea: JSON Canonicalization Scheme, RFC 8785; the numbers here are those of JavaScript.
 */
export function canonicalText(value: P2PValue): string {
  // Every record that is compared goes through here, so the tagged JSON is not made first and then walked once more.
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "boolean":
      return value ? "true" : "false";
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : JSON.stringify(toJson(value));
    case "bigint":
      return `{"${JSON_TAG}":"bigint","value":"${value}"}`;
    default:
      return value === null ? "null" : textOfObject(value);
  }
}

function textOfObject(value: Exclude<P2PValue, null | boolean | number | bigint | string>): string {
  const type = valueType(value);
  if (type === "array") {
    let text = "";
    for (const item of value as readonly P2PValue[])
      text += text === "" ? canonicalText(item) : `,${canonicalText(item)}`;
    return `[${text}]`;
  }
  if (type === "object") return textOfPlain(value as P2PObject);
  if (type === "tagged") {
    const tagged = value as TaggedValue;
    return `{"${JSON_TAG}":${JSON.stringify(tagged.type)},"value":${canonicalText(tagged.value)}}`;
  }
  return `{"${JSON_TAG}":"${type}","value":${JSON.stringify(singleKindNamed(type)!.toJson(value as SingleObject))}}`;
}

const ORDERS = new FieldOrders((names) => names.map((name) => [name, `${JSON.stringify(name)}:`] as const));

function textOfPlain(object: P2PObject): string {
  if (Object.hasOwn(object, JSON_TAG)) return textOfEntries(object);
  let text = "";
  for (const [name, label] of ORDERS.of(object)) {
    const inner = object[name];
    if (inner !== undefined) text += text === "" ? label + canonicalText(inner) : `,${label}${canonicalText(inner)}`;
  }
  return `{${text}}`;
}

/** An object with a field of the tag's name, in two pairs of braces so that it cannot be taken for a tag. */
function textOfEntries(object: P2PObject): string {
  const entries = Object.keys(object)
    .filter((name) => object[name] !== undefined)
    .map((name) => `${JSON.stringify(name)}:${canonicalText(object[name]!)}`);
  return `{{${entries.sort().join(",")}}}`;
}
