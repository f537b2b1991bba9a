/** Leases in PostgreSQL: a table of its own beside the target's, by the server's clock. */
import { isP2PError, type LeaseKeeper, P2PError } from "@omni/p2p-core/starter";
import { LEASES } from "../types.ts";
import { isServerError, sqlState } from "./errors.ts";
import { literal, qualified, quote } from "./sql.ts";
import type { PostgresqlStore } from "./store.ts";

const UNDEFINED_TABLE = "42P01";
const INSUFFICIENT_PRIVILEGE = "42501";
/** Of two who make the table at once, one meets these. */
const MADE_MEANWHILE: ReadonlySet<string | undefined> = new Set(["23505", "42P07"]);

const COLUMNS =
  '"name" text PRIMARY KEY, "run" text NOT NULL, "owner" text NOT NULL, "holder" text NOT NULL, "until" timestamptz NOT NULL';
const MARK = "Written by @omni/p2p: who follows into this schema";

const MOST_TRIES = 5;

const NOW = "pg_catalog.clock_timestamp()";

function takeSql(table: string): string {
  const until = `${NOW} + $5::pg_catalog.float8 * '1 millisecond'::pg_catalog.interval`;
  return (
    `INSERT INTO ${table} AS l ("name", "run", "owner", "holder", "until") VALUES ($1, $2, $3, $4, ${until}) ` +
    'ON CONFLICT ("name") DO UPDATE SET "run" = excluded."run", "owner" = excluded."owner", "holder" = excluded."holder", "until" = excluded."until" ' +
    `WHERE l."until" <= ${NOW} OR l."run" = excluded."run" OR ($6::pg_catalog.bool AND l."owner" = excluded."owner") RETURNING true`
  );
}

const holderSql = (table: string) =>
  `SELECT "holder", extract(epoch FROM "until" - ${NOW}) * 1000 FROM ${table} WHERE "name" = $1 AND "until" > ${NOW}`;

export function postgresqlLeases(store: PostgresqlStore): LeaseKeeper {
  // Names of tables are told apart without regard to case here, since one may be written in two ways.
  const placed = (name: string) => `${name} ${store.tableName?.name.toLowerCase()}`;
  return {
    async take({ name, run, owner, holder, ttlMs, renew }, signal) {
      for (let tries = 1; ; tries++) {
        const table = await leasesOf(store, signal);
        try {
          const params = [placed(name), run, owner, holder, String(ttlMs), String(!renew)];
          const { rows } = await store.query("write", signal, takeSql(table), params);
          if (rows.length > 0) return { held: true };
          const { rows: theirs } = await store.query("read", signal, holderSql(table), [placed(name)]);
          // One that has ended in between is free.
          if (theirs[0]) return { held: false, holder: theirs[0][0]!, expiresInMs: Number(theirs[0][1]) };
          if (tries >= MOST_TRIES) throw outOfReach(store);
        } catch (error) {
          if (tries >= MOST_TRIES || stateOf(error) !== UNDEFINED_TABLE) throw understood(error, store, table);
          await makeTable(store, table, signal);
        }
      }
    },
    async release({ name, run }, signal) {
      const table = await leasesOf(store, signal);
      try {
        await store.query("write", signal, `DELETE FROM ${table} WHERE "name" = $1 AND "run" = $2`, [
          placed(name),
          run,
        ]);
      } catch (error) {
        if (stateOf(error) !== UNDEFINED_TABLE) throw error;
      }
    },
  };
}

/** The table of leases, in the schema of the target's. */
async function leasesOf(store: PostgresqlStore, signal: AbortSignal): Promise<string> {
  const there = await store.table(signal);
  const schema = there?.schema ?? store.tableName?.schema ?? store.endpoint.schema;
  if (there) return qualified({ schema: there.schema, name: LEASES });
  const { rows } = await store.query(
    "read",
    signal,
    `SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname IN (coalesce($1::pg_catalog.text, pg_catalog.current_schema()), pg_catalog.lower($1::pg_catalog.text))
     ORDER BY nspname = $1::pg_catalog.text DESC`,
    [schema ?? null],
  );
  const name = rows[0]?.[0];
  if (name === undefined || name === null) {
    throw new P2PError("LEASE_UNAVAILABLE", `${store.label} has no schema yet in which a lease could be kept`);
  }
  return qualified({ schema: name, name: LEASES });
}

async function makeTable(store: PostgresqlStore, table: string, signal: AbortSignal): Promise<void> {
  if (store.endpoint.create === "never") {
    throw unavailable(store, table, 'the option create is "never", so that no table is made for it');
  }
  try {
    await store.transaction("write", signal, (session) =>
      session.script(`CREATE TABLE IF NOT EXISTS ${table} (${COLUMNS}); COMMENT ON TABLE ${table} IS ${literal(MARK)}`),
    );
  } catch (error) {
    if (!MADE_MEANWHILE.has(stateOf(error))) throw understood(error, store, table);
  }
}

function outOfReach({ label }: PostgresqlStore): P2PError {
  const why = "it is taken and let go all the time, or a trigger or a policy of its table keeps it away";
  return new P2PError("BUSY", `${label}: the lease can neither be had nor be seen: ${why}`, { retryable: true });
}

function understood(error: unknown, store: PostgresqlStore, table: string): unknown {
  if (stateOf(error) !== INSUFFICIENT_PRIVILEGE) return error;
  return unavailable(store, table, (error as P2PError).message, error);
}

function unavailable({ label }: PostgresqlStore, table: string, why: string, cause?: unknown): P2PError {
  return new P2PError(
    "LEASE_UNAVAILABLE",
    `${label} holds no lease: ${why}. An administrator may make its table: CREATE TABLE ${table} (${COLUMNS}); GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${quote("<user>")}`,
    { cause },
  );
}

function stateOf(error: unknown): string | undefined {
  const cause = isP2PError(error) ? error.cause : error;
  return isServerError(cause) ? sqlState(cause) : undefined;
}
