/** Serialises records for hashing: injective, canonical, and cheaper than JSON, since nothing need be read back. */
import { FieldOrders } from "../../model/field-orders.ts";
import { type P2PObject, type P2PValue, type TaggedValue, valueType } from "../../model/value-tree.ts";
import { type SingleObject, singleKindNamed } from "../../model/value-types.ts";

const ORDERS = new FieldOrders((names) => names.map((name) => [name, lengthFirst(name)] as const));

/**
 * A text that two valid values share exactly when they are equal. Lengths go before texts and numbers of items before items, so
 * that no text need be searched for what ends it; the pieces are put together only when they are hashed.
 */
export function comparedText(value: P2PValue): string {
  switch (typeof value) {
    case "string":
      return `s${lengthFirst(value)}`;
    case "boolean":
      return value ? "t" : "f";
    case "number":
      return Object.is(value, -0) ? "d-0;" : `d${value};`;
    case "bigint":
      return `i${value};`;
    default:
      return value === null ? "z" : textOfObject(value);
  }
}

function lengthFirst(text: string): string {
  return `${text.length}:${text}`;
}

function textOfObject(value: Exclude<P2PValue, null | boolean | number | bigint | string>): string {
  const type = valueType(value);
  if (type === "object") return textOfPlain(value as P2PObject);
  if (type === "array") {
    const list = value as readonly P2PValue[];
    let text = `a${list.length}:`;
    for (const item of list) text += comparedText(item);
    return text;
  }
  if (type === "tagged") {
    const tagged = value as TaggedValue;
    return `g${lengthFirst(tagged.type)}${comparedText(tagged.value)}`;
  }
  return `k${type}:${comparedText(singleKindNamed(type)!.toJson(value as SingleObject) as P2PValue)}`;
}

function textOfPlain(object: P2PObject): string {
  let text = "";
  let fields = 0;
  for (const [name, label] of ORDERS.of(object)) {
    const inner = object[name];
    if (inner === undefined) continue;
    text += label + comparedText(inner);
    fields++;
  }
  return `o${fields}:${text}`;
}
