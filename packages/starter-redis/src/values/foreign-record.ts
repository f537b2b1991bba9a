import { isUtf8 } from "node:buffer";
import type { P2PRecord, P2PValue } from "@omni/p2p-core/starter";
import type { Key } from "../client/keys.ts";
import { identify } from "./record-identity.ts";

/** An entry of a stream as the server gives it: its id, and fields and values one after the other. */
export type StreamEntry = readonly [id: Buffer, parts: readonly Buffer[]];

/** The record in a list: `{ id, type: "list", value: [text, …] }`. */
export function listRecord(items: readonly Buffer[], suffix: Key): P2PRecord {
  return identify({ type: "list", value: items.map(textOrBytes) }, suffix);
}

/** The record in a set: `{ id, type: "set", value: [text, …] }`, its members in order. */
export function setRecord(members: readonly Buffer[], suffix: Key): P2PRecord {
  return identify({ type: "set", value: members.toSorted(Buffer.compare).map(textOrBytes) }, suffix);
}

/** The record in a sorted set: `{ id, type: "zset", value: [{ member, score }, …] }`, in the order of the scores. */
export function sortedSetRecord(parts: readonly Buffer[], suffix: Key): P2PRecord {
  const value: P2PValue[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    value.push({ member: textOrBytes(parts[i]!), score: parseScore(parts[i + 1]!.toString()) });
  }
  return identify({ type: "zset", value }, suffix);
}

/**
 * The record in a stream: `{ id, type: "stream", value: [{ id, fields: { name: text, … } }, …] }`. Where a name comes
 * more than once or is not UTF-8, `fields` is `[[name, text], …]`.
 */
export function streamRecord(entries: readonly StreamEntry[], suffix: Key): P2PRecord {
  const value = entries.map(([id, parts]) => ({ id: id.toString(), fields: streamFields(parts) }));
  return identify({ type: "stream", value }, suffix);
}

function streamFields(parts: readonly Buffer[]): P2PValue {
  const pairs: [string | Uint8Array, string | Uint8Array][] = [];
  for (let i = 0; i < parts.length; i += 2) pairs.push([textOrBytes(parts[i]!), textOrBytes(parts[i + 1]!)]);
  const names = new Set(pairs.map(([name]) => name));
  const plain = names.size === pairs.length && pairs.every(([name]) => typeof name === "string");
  return plain ? (Object.fromEntries(pairs) as Record<string, P2PValue>) : pairs;
}

function textOrBytes(bytes: Buffer): string | Uint8Array {
  return isUtf8(bytes) ? bytes.toString() : new Uint8Array(bytes);
}

function parseScore(text: string): number {
  if (/^[+-]?inf/i.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  return Number(text);
}
