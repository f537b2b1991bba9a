import { P2PError } from "@omni/p2p-core/starter";
import type { Command } from "../client/command.ts";
import { type Key, keyText } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import type { StreamEntry } from "../values/foreign-record.ts";
import type { Fetched, KeyValue } from "../values/key-value.ts";

/** Keys as they were read. */
export interface FetchedKeys {
  readonly values: readonly Fetched[];
  /** When each key expires, in ms since 1970; `undefined` for those that do not. Empty when it was not asked. */
  readonly expiries: readonly (number | undefined)[];
}

/** Elements of a list, set, hash, sorted set or stream that are asked for at a time. */
const CHUNK = 1000;

/**
 * Reads keys of unknown types. One round trip does for keys of the type that the endpoint's format makes. Where others
 * are among them, their types are asked along, and a second trip brings their values.
 */
export class ValueReader {
  readonly #keyspace: Keyspace;
  /** Whether the last keys were of several types, so that the next may be expected to be. */
  #mixed = false;

  constructor(keyspace: Keyspace) {
    this.#keyspace = keyspace;
  }

  async fetch(keys: readonly Key[], signal: AbortSignal): Promise<FetchedKeys> {
    const { format, ttlField } = this.#keyspace.settings;
    const together = format === "json" && !this.#keyspace.link.clustered;
    const withTypes = this.#mixed && format !== "dump";
    const commands: Command[] = together ? [{ name: "mget", args: [...keys] }] : keys.map((key) => this.#guess(key));
    const typesAt = commands.length;
    if (withTypes) commands.push(...keys.map((key) => ({ name: "type", args: [key] })));
    const expiriesAt = commands.length;
    const expiry = this.#keyspace.tellsExpiry ? "pexpiretime" : "pttl";
    if (ttlField !== undefined) commands.push(...keys.map((key) => ({ name: expiry, args: [key] })));
    const replies = await this.#send(commands, signal);
    const first = together ? unwrap(replies[0]) : replies.slice(0, keys.length);
    const values = await this.#guessed(keys, first as unknown[], signal);
    const expiries = ttlField === undefined ? [] : keys.map((_, i) => this.#expiry(replies[expiriesAt + i]));
    const open: number[] = [];
    for (let i = 0; i < values.length; i++) if (values[i] === UNKNOWN) open.push(i);
    this.#mixed = false;
    if (open.length > 0) {
      const types = withTypes
        ? open.map((i) => replies[typesAt + i])
        : await this.#send(
            open.map((i) => ({ name: "type", args: [keys[i]!] })),
            signal,
          );
      const names = types.map((type) => (type instanceof P2PError ? type : String(type)));
      const found = await this.#fetchTyped(
        open.map((i) => keys[i]!),
        names,
        signal,
      );
      for (const [n, i] of open.entries()) values[i] = found[n];
      this.#mixed = names.some((name) => name !== "none");
    }
    return { values: values as Fetched[], expiries };
  }

  async #send(commands: readonly Command[], signal: AbortSignal): Promise<unknown[]> {
    const replies = await this.#keyspace.link.sendAll("read", signal, commands);
    // What is wrong with one key is its own; anything else is wrong with the reading.
    for (const reply of replies) if (reply instanceof P2PError && reply.code !== "TYPE_MISMATCH") throw reply;
    return replies;
  }

  /** Asks for a value as if the key were of the type that the format makes. */
  #guess(key: Key): Command {
    const { format } = this.#keyspace.settings;
    if (format === "hash") return firstChunk("hash", key)!;
    return { name: format === "dump" ? "dump" : "get", args: [key] };
  }

  async #guessed(
    keys: readonly Key[],
    replies: readonly unknown[],
    signal: AbortSignal,
  ): Promise<(Fetched | typeof UNKNOWN)[]> {
    const { format } = this.#keyspace.settings;
    if (format === "dump") return replies.map((reply) => (reply === null ? undefined : single("dump", reply)));
    if (format === "json") return replies.map((reply) => (Buffer.isBuffer(reply) ? single("string", reply) : UNKNOWN));
    const values: (Fetched | typeof UNKNOWN)[] = [];
    for (const [i, reply] of replies.entries()) {
      values.push(reply instanceof P2PError ? UNKNOWN : await this.#whole("hash", keys[i]!, reply, signal));
    }
    return values;
  }

  #expiry(reply: unknown): number | undefined {
    if (typeof reply !== "number" || reply < 0) return undefined;
    return this.#keyspace.tellsExpiry ? reply : Date.now() + reply;
  }

  async #fetchTyped(
    keys: readonly Key[],
    types: readonly (string | P2PError)[],
    signal: AbortSignal,
  ): Promise<Fetched[]> {
    const commands = keys.map((key, i) => firstChunk(types[i]!, key));
    const sent = commands.filter((command) => command !== undefined);
    const replies = sent.length > 0 ? await this.#send(sent, signal) : [];
    let next = 0;
    const values: Fetched[] = [];
    for (const [i, key] of keys.entries()) {
      const type = types[i]!;
      if (type instanceof P2PError) values.push(type);
      else if (type === "none") values.push(undefined);
      else if (commands[i] === undefined) values.push(unreadable(key, type));
      else values.push(await this.#whole(type, key, replies[next++], signal));
    }
    return values;
  }

  /** The value of which the reply is the first chunk. */
  async #whole(type: string, key: Key, reply: unknown, signal: AbortSignal): Promise<Fetched> {
    if (reply instanceof P2PError) return reply;
    if (type === "string") return reply === null ? undefined : single("string", reply);
    let elements: unknown[] = [];
    for (let chunk = reply, whole = true; ; whole = false) {
      const { items, next } = readChunk(type, key, chunk, elements.length);
      for (const item of items) elements.push(item);
      const count = elements.length / (type === "hash" || type === "zset" ? 2 : 1);
      if (count > this.#keyspace.settings.maxElements) return tooLarge(key, type, this.#keyspace.settings.maxElements);
      if (next === undefined) {
        // A scan in several steps may give an element twice.
        if (!whole && type === "hash") elements = lastOfEach(elements as Buffer[], 2);
        if (!whole && type === "set") elements = lastOfEach(elements as Buffer[], 1);
        break;
      }
      [chunk] = await this.#send([next], signal);
      if (chunk instanceof P2PError) return chunk;
    }
    if (elements.length === 0 && type !== "stream") return undefined;
    return { type, value: elements } as KeyValue;
  }
}

/** Stands for a value whose type must be asked for. */
const UNKNOWN = Symbol("unknown type");

function single(type: "string" | "dump", reply: unknown): KeyValue {
  return { type, value: reply as Buffer };
}

function unwrap(reply: unknown): unknown {
  if (reply instanceof P2PError) throw reply;
  return reply;
}

/** Asks for the value of a key, or for the first chunk of it; `undefined` when the type is none that can be read. */
function firstChunk(type: string | P2PError, key: Key): Command | undefined {
  switch (type) {
    case "string":
      return { name: "get", args: [key] };
    case "hash":
      return { name: "hscan", args: [key, "0", "COUNT", CHUNK] };
    case "set":
      return { name: "sscan", args: [key, "0", "COUNT", CHUNK] };
    case "list":
      return { name: "lrange", args: [key, 0, CHUNK - 1] };
    case "zset":
      return { name: "zrange", args: [key, 0, CHUNK - 1, "WITHSCORES"] };
    case "stream":
      return { name: "xrange", args: [key, "-", "+", "COUNT", CHUNK] };
    default:
      return undefined;
  }
}

/** The elements of a chunk, and the command for the next one if there may be one. */
function readChunk(type: string, key: Key, reply: unknown, before: number): { items: unknown[]; next?: Command } {
  if (type === "hash" || type === "set") {
    const [cursor, items] = reply as [Buffer, Buffer[]];
    const name = type === "hash" ? "hscan" : "sscan";
    const more = cursor.toString() !== "0";
    return { items, ...(more && { next: { name, args: [key, cursor.toString(), "COUNT", CHUNK] } }) };
  }
  // With RESP3 a sorted set comes in pairs, with RESP2 flat.
  const items = type === "zset" ? (reply as unknown[]).flat() : (reply as unknown[]);
  const count = type === "zset" ? items.length / 2 : items.length;
  if (count < CHUNK) return { items };
  const from = (type === "zset" ? before / 2 : before) + CHUNK;
  if (type === "list") return { items, next: { name: "lrange", args: [key, from, from + CHUNK - 1] } };
  if (type === "zset") return { items, next: { name: "zrange", args: [key, from, from + CHUNK - 1, "WITHSCORES"] } };
  const [lastId] = items.at(-1) as StreamEntry;
  return { items, next: { name: "xrange", args: [key, `(${lastId.toString()}`, "+", "COUNT", CHUNK] } };
}

/** Of elements of so many parts each, told apart by their first part, the ones that came last. */
function lastOfEach(parts: readonly Buffer[], size: 1 | 2): Buffer[] {
  const last = new Map<string, readonly Buffer[]>();
  for (let i = 0; i < parts.length; i += size) last.set(parts[i]!.toString("latin1"), parts.slice(i, i + size));
  return [...last.values()].flat();
}

function unreadable(key: Key, type: string): P2PError {
  return new P2PError(
    "TYPE_MISMATCH",
    `The key ${keyText(key)} is of type ${type}, which has no form as a record; copy it with format=dump`,
  );
}

function tooLarge(key: Key, type: string, most: number): P2PError {
  return new P2PError(
    "RECORD_TOO_LARGE",
    `The ${type} ${keyText(key)} has more than ${most} elements; raise maxElements, or copy it with format=dump`,
  );
}
