/** The server's setting `notify-keyspace-events`: which flags a follow needs, and what to say where they are lacking. */
import { isP2PError, P2PError } from "@omni/p2p-core/starter";
import type { Redis } from "ioredis";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisEndpoint } from "../endpoint.ts";

/** The name of the setting. */
const SETTING = "notify-keyspace-events";
/** Events by the name of the key, and the classes of all that change a key; `A` stands for the classes. */
const KEYSPACE = "K";
const CLASSES = "g$lshztxed";

interface NodeFlags {
  readonly node: Redis;
  readonly flags: string;
}

/** The flags that are lacking on any of the servers: none where all is well; `undefined` where the user may not ask. */
export async function missingFlags(keyspace: Keyspace, signal: AbortSignal): Promise<string | undefined> {
  const current = await currentFlags(keyspace, signal);
  if (current === undefined) return undefined;
  return current.map(({ flags }) => lacking(flags)).find((flags) => flags !== "") ?? "";
}

function lacking(flags: string): string {
  const events = flags.includes("A") || [...CLASSES].every((letter) => flags.includes(letter)) ? "" : "A";
  return (flags.includes(KEYSPACE) ? "" : KEYSPACE) + events;
}

/** The setting of each server; `undefined` where the user may not ask. */
async function currentFlags({ link }: Keyspace, signal: AbortSignal): Promise<NodeFlags[] | undefined> {
  try {
    return await Promise.all(
      link.topology.masters().map(async (node) => {
        const reply = await link.send("read", signal, { name: "config", args: ["GET", SETTING] }, node);
        return { node, flags: String((reply as unknown[])[1] ?? "") };
      }),
    );
  } catch (error) {
    if (isP2PError(error, "READ_FAILED")) return undefined;
    throw error;
  }
}

/**
 * Adds the flags on all servers, until they are started anew.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE` where this user may not
 */
export async function addFlags(keyspace: Keyspace, label: string, signal: AbortSignal): Promise<void> {
  const { link, settings } = keyspace;
  // Flags that others need stay, so what cannot be read is not set either.
  const current = (await currentFlags(keyspace, signal)) ?? [];
  try {
    for (const { node, flags } of current) {
      const missing = lacking(flags);
      if (missing === "") continue;
      await link.send("read", signal, { name: "config", args: ["SET", SETTING, flags + missing] }, node);
    }
  } catch (error) {
    if (!isP2PError(error, "READ_FAILED")) throw error;
    throw new P2PError(
      "CHANGES_UNAVAILABLE",
      `${label} does not let ${userOf(settings)} set ${SETTING}. Set it to "KA" in the server's configuration, or grant ACL SETUSER ${userOf(settings)} +config|get +config|set`,
      { cause: error },
    );
  }
}

/**
 * Neither way is open.
 *
 * @param tracking what the server said of tracking
 * @param notifications the flags that are lacking, or what the server said; `undefined` where the setting cannot be read
 * @param told whether the user may ask for INFO, without which a flush would go unnoticed
 */
export function notificationsOff(
  settings: RedisEndpoint,
  label: string,
  tracking: P2PError,
  notifications: string | P2PError | undefined,
  told: boolean,
): P2PError {
  const user = userOf(settings);
  const reason =
    notifications === undefined
      ? `its setting ${SETTING} cannot be read either`
      : typeof notifications === "string"
        ? notifications === ""
          ? `its keyspace notifications alone do not tell of a flush`
          : `its setting ${SETTING} lacks "${notifications}"`
        : `nor by keyspace notifications: ${notifications.message.replace(/\.\s*$/, "")}`;
  const rules = ["+client|tracking", "+client|id", "+subscribe", "&__redis__:invalidate", ...(told ? [] : ["+info"])];
  return new P2PError(
    "CHANGES_UNAVAILABLE",
    `${label} does not tell of its changes by tracking (${messageWithin(tracking)}), and ${reason}. Grant ACL SETUSER ${user} ${rules.join(" ")}; or turn notifications on by "omni-p2p changes enable", which does CONFIG SET ${SETTING} KA, and grant +psubscribe &__keyspace@${settings.db}__:* +config|get +info`,
    { cause: tracking },
  );
}

/** What the server itself said. */
function messageWithin({ cause, message }: P2PError): string {
  return cause instanceof Error ? cause.message : message;
}

function userOf({ username }: RedisEndpoint): string {
  return username ?? "default";
}
