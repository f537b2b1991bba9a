import type { WriteMode } from "@omni/p2p-core/starter";
import type { Command } from "../client/command.ts";
import type { Key } from "../client/keys.ts";
import type { Expiry } from "../values/expiry.ts";
import script from "./write-hashes.lua";

/** A hash to write. */
export interface HashEntry {
  readonly key: Key;
  /** Fields and values, one after the other. */
  readonly parts: readonly (string | Buffer)[];
  readonly expiry: Expiry | undefined;
}

/** The command that writes hashes in one step. */
export function writeHashes(entries: readonly HashEntry[], mode: WriteMode): Command {
  const args: Command["args"] = [script, entries.length];
  for (const { key } of entries) args.push(key);
  args.push(mode);
  for (const { parts, expiry } of entries) {
    args.push(parts.length);
    if (expiry) args.push(expiry.kind === "at" ? "PEXPIREAT" : "PEXPIRE", expiry.ms);
    else args.push("", "");
    for (const part of parts) args.push(part);
  }
  return { name: "eval", args };
}
