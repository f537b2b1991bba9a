import type { Command } from "../client/command.ts";
import type { Key } from "../client/keys.ts";
import type { StreamEntry } from "../values/foreign-record.ts";
import type { KeyValue } from "../values/key-value.ts";
import script from "./delete-unchanged.lua";

/** A key to delete as long as it holds what was read of it. */
export interface ReadKey {
  readonly key: Key;
  readonly value: KeyValue;
  /** When it expires, in ms since 1970; `undefined` for never. */
  readonly expiry: number | undefined;
}

/** What counts as a change of the time to live. */
export interface ExpiryCheck {
  /** Whether it is a part of the record. */
  readonly matters: boolean;
  /** Whether the server tells the time of expiry itself. */
  readonly told: boolean;
}

/** The command that compares and deletes keys in one step. */
export function deleteUnchanged(keys: readonly ReadKey[], { matters, told }: ExpiryCheck): Command {
  const args: Command["args"] = [script, keys.length];
  for (const { key } of keys) args.push(key);
  args.push(told ? "PEXPIRETIME" : "PTTL");
  for (const { value, expiry } of keys) {
    const parts = partsOf(value);
    args.push(value.type, matters ? (expiry ?? -1) : "", parts.length);
    for (const part of parts) args.push(part);
  }
  return { name: "eval", args };
}

function partsOf(read: KeyValue): readonly (Buffer | number)[] {
  switch (read.type) {
    case "string":
    case "dump":
      return [read.value];
    case "stream":
      return read.value.flatMap(entryParts);
    default:
      return read.value;
  }
}

function entryParts([id, parts]: StreamEntry): (Buffer | number)[] {
  return [id, parts.length, ...parts];
}
