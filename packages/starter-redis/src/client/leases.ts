/** Leases in Redis: one hash beside the records, which is none of them under any prefix. */
import type { LeaseKeeper } from "@omni/p2p-core/starter";
import type { Key } from "./keys.ts";
import type { Keyspace } from "./keyspace.ts";
import script from "./leases.lua";

/** Where leases are kept, of all prefixes of a database. */
export const LEASES_KEY = "_p2p:leases";

/** Whether a key is this library's own: the marker of an endpoint, or that of leases. */
export function isOwnKey(key: Key, marker: string | undefined): boolean {
  return key === LEASES_KEY || (marker !== undefined && key === marker);
}

export function redisLeases({ link, settings: { prefix } }: Keyspace): LeaseKeeper {
  const placed = (name: string) => `${name} ${prefix}`;
  const run = (signal: AbortSignal, args: readonly (string | number)[]) =>
    link.send("write", signal, { name: "eval", args: [script, 1, LEASES_KEY, ...args] });
  return {
    async take({ name, run: by, owner, holder, ttlMs, renew }, signal) {
      const answer = await run(signal, ["take", placed(name), by, owner, holder, Math.ceil(ttlMs), renew ? "1" : ""]);
      if (answer === null) return { held: true };
      const [theirs, expiresInMs] = answer as [Buffer, number];
      return { held: false, holder: theirs.toString(), expiresInMs };
    },
    async release({ name, run: by }, signal) {
      await run(signal, ["release", placed(name), by]);
    },
  };
}
