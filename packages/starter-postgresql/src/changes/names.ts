/** Names of publications and replication slots: made of the table and the follower, so that both are found again. */
import { createHash } from "node:crypto";

const PREFIX = "omni_p2p_";
/** Characters of a follower's id that its slot shows: a name has 63 at most. */
const SHOWN = 36;

/** Which table it is about: slots belong to the whole server, so their names tell databases apart too. */
export interface Place {
  readonly database: string;
  readonly schema: string;
  readonly table: string;
}

function digest(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex").slice(0, 8);
}

/** The publication of a table; the names of its slots begin with it. */
export function publicationName({ database, schema, table }: Place): string {
  return PREFIX + digest(JSON.stringify([database, schema, table]));
}

/** The slot of one follower of a table. */
export function slotName(place: Place, follower: string): string {
  const shown = follower.toLowerCase().replaceAll(/[^a-z0-9_]/g, "_");
  return `${slotPrefix(place)}${shown.slice(0, SHOWN)}_${digest(follower)}`;
}

/** What the names of all slots of a table begin with. */
export function slotPrefix(place: Place): string {
  return `${publicationName(place)}_`;
}

/** The follower that a slot of the table is for, where its name says all of it. */
export function followerOf(place: Place, slot: string): string | undefined {
  const shown = slot.slice(slotPrefix(place).length, -9);
  return slotName(place, shown) === slot ? shown : undefined;
}

/** A pattern of SQL's LIKE that finds the slots of every table. */
export const ALL_SLOTS = `${PREFIX.replaceAll("_", "\\_")}%`;
