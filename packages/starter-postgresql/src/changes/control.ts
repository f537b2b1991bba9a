/** Turning the feed of a table on and off: its publication, and the slots of its followers. */
import type {
  ChangeControl,
  ChangeStatus,
  EndpointInfo,
  KeptForFollower,
  OpenContext,
  P2PError,
} from "@omni/p2p-core/starter";
import { sqlState } from "../client/errors.ts";
import { openStore } from "../client/open.ts";
import { qualified, quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import { parsePostgresqlEndpoint } from "../endpoint.ts";
import { followerOf, type Place, publicationName, slotName, slotPrefix } from "./names.ts";
import { lookAtPublished, type PublishedTable, placeOf, unavailable } from "./published-table.ts";
import { dropSlot, listSlots, noReplication, type Slot } from "./slots.ts";

/** So much of the log is more than a follower that reads should hold back, in bytes. */
const MUCH = 2 ** 30;

/** `enable` publishes the table; slots are made by those who follow. `disable` takes away both. */
export const postgresqlChanges: ChangeControl = {
  status(endpoint, context) {
    return within(endpoint, context, async (store) =>
      statusOf(store, await lookAtPublished(store, context.signal), context.signal),
    );
  },
  enable(endpoint, context) {
    return within(endpoint, context, async (store) => {
      const { signal } = context;
      const published = await lookAtPublished(store, signal);
      if (published.trouble !== undefined) throw unavailable(store, published.trouble);
      if (!(await mayReplicate(store, signal))) throw unavailable(store, noReplication(store));
      if (!published.published) await publish(store, published, signal);
      return statusOf(store, await lookAtPublished(store, signal), signal);
    });
  },
  disable(endpoint, context, follower) {
    return within(endpoint, context, (store) => takeAway(store, follower, context.signal));
  },
};

async function within<T>(
  endpoint: EndpointInfo,
  context: OpenContext,
  run: (store: PostgresqlStore) => Promise<T>,
): Promise<T> {
  // Publications are made at the primary alone, and slots are there.
  const store = await openStore(parsePostgresqlEndpoint(endpoint, "source"), { ...context, role: "target" });
  try {
    return await run(store);
  } finally {
    await store.close();
  }
}

async function publish(
  store: PostgresqlStore,
  { publication, createSql }: PublishedTable,
  signal: AbortSignal,
): Promise<void> {
  // One of the same name tells of a table that was dropped, or not of all changes.
  const sql = `${dropSql(publication)}; ${createSql}`;
  await asOwner(store, sql, signal, "publish the table", `its owner, with CREATE on the database, may: ${sql}`);
}

function dropSql(publication: string): string {
  return `DROP PUBLICATION IF EXISTS ${quote(publication)}`;
}

/** Runs what not everybody may. */
async function asOwner(
  store: PostgresqlStore,
  sql: string,
  signal: AbortSignal,
  what: string,
  way: string,
): Promise<void> {
  try {
    await store.transaction("write", signal, (session) => session.script(sql));
  } catch (error) {
    signal.throwIfAborted();
    const { cause } = error as P2PError;
    if (sqlState(cause) !== "42501") throw error;
    throw unavailable(store, `the user may not ${what} (${(cause as Error).message}); ${way}`, cause);
  }
}

async function takeAway(
  store: PostgresqlStore,
  follower: string | undefined,
  signal: AbortSignal,
): Promise<ChangeStatus> {
  const place = await placeOf(store, signal);
  for (const { name } of await listSlots(store, signal)) {
    if (follower === undefined ? name.startsWith(slotPrefix(place)) : name === slotName(place, follower)) {
      await dropSlot(store, name, signal);
    }
  }
  if (follower === undefined) {
    const sql = dropSql(publicationName(place));
    await asOwner(store, sql, signal, "drop its publication", `whoever owns that may: ${sql}`);
  }
  try {
    return await statusOf(store, await lookAtPublished(store, signal), signal);
  } catch (error) {
    if ((error as P2PError).code !== "SOURCE_NOT_FOUND") throw error;
    return { state: "unavailable", detail: (error as P2PError).message, kept: [], warnings: [] };
  }
}

/** Whether the user has the attribute, or a role by which a provider gives it. */
async function mayReplicate(store: PostgresqlStore, signal: AbortSignal): Promise<boolean> {
  const { rows } = await store.query(
    "read",
    signal,
    `SELECT pg_catalog.bool_or(r.rolsuper OR r.rolreplication OR r.rolname = 'rds_replication') FROM pg_catalog.pg_roles r
     WHERE r.rolname = current_user OR (r.rolname = 'rds_replication' AND pg_catalog.pg_has_role(r.oid, 'MEMBER'))`,
  );
  return rows[0]?.[0] === "t";
}

async function statusOf(store: PostgresqlStore, published: PublishedTable, signal: AbortSignal): Promise<ChangeStatus> {
  const { place, trouble, table } = published;
  const slots = await listSlots(store, signal);
  const own = slots.filter(({ name }) => name.startsWith(slotPrefix(place)));
  const { rows } = await store.query(
    "read",
    signal,
    "SELECT pg_catalog.current_setting('max_slot_wal_keep_size', true), pg_catalog.current_setting('synchronous_standby_names')",
  );
  const [keepSize, standbys] = rows[0]!;
  const warnings: string[] = [];
  if (keepSize === "-1") {
    warnings.push(
      "max_slot_wal_keep_size is -1: a follower that does not come back lets the log grow until the disk is full; set it, for instance to 10GB, or drop the slot of such a follower by omni-p2p changes disable",
    );
  } else if (keepSize === null) {
    warnings.push(
      "this server cannot bound what a slot holds back (PostgreSQL 13 can): drop the slots of followers that do not come back",
    );
  }
  if (standbys?.includes("*") === true) {
    warnings.push(
      "synchronous_standby_names has *, which takes a follower for a synchronous standby, so that commits wait for it; name the standbys",
    );
  }
  if (table.rowSecurity) {
    warnings.push("row-level security hides rows from this user, and no change is told when a policy is altered");
  }
  if (table.type === "partitioned") {
    warnings.push(
      "a partition that is added, detached, dropped or emptied by itself costs a mirror, since the log names no rows of it",
    );
  }
  const others = slots.filter((slot) => !own.includes(slot));
  if (others.length > 0) {
    warnings.push(
      `other tables of this database have slots too: ${others.map(({ name, heldBytes }) => `${name}${heldBytes === undefined ? "" : ` (${megabytes(heldBytes)})`}`).join(", ")}`,
    );
  }
  const kept = own.map((slot) => keptFor(place, slot));
  const hindrance = trouble ?? ((await mayReplicate(store, signal)) ? undefined : noReplication(store));
  if (hindrance !== undefined) return { state: "unavailable", detail: sentence(hindrance), kept, warnings };
  return published.published
    ? {
        state: "on",
        detail: `The publication ${published.publication} tells of ${qualified(table)}; each follower has a replication slot.`,
        kept,
        warnings,
      }
    : { state: "off", detail: `${qualified(table)} is not published.`, kept, warnings };
}

function keptFor(place: Place, { name, activePid, heldBytes, lost }: Slot): KeptForFollower {
  const follower = followerOf(place, name);
  const active = activePid !== undefined;
  const trouble = lost
    ? "Its part of the log was removed (max_slot_wal_keep_size); the follower begins anew with a mirror."
    : !active && heldBytes !== undefined && heldBytes > MUCH
      ? `It holds back ${megabytes(heldBytes)} of the log, and nobody reads by it; start the follower, or drop the slot by omni-p2p changes disable.`
      : undefined;
  return {
    name,
    active,
    ...(follower !== undefined && { follower }),
    ...(heldBytes !== undefined && { heldBytes }),
    ...(trouble !== undefined && { trouble }),
  };
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MB`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}
