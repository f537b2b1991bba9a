/** The table of a feed, as far as its changes can be told: its publication, its replica identity, and what hinders. */
import { P2PError } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";
import { literal, qualified, quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Table } from "../client/table.ts";
import { type Place, publicationName } from "./names.ts";

/** A table whose changes are told, or could be. */
export interface PublishedTable {
  readonly table: Table;
  readonly place: Place;
  readonly publication: string;
  /** Whether the publication is there, and tells of this table. */
  readonly published: boolean;
  /**
   * Changes with whatever could change rows without being told of: the publication, the key, and of a partitioned table its
   * partitions with their files.
   */
  readonly mark: string;
  /** Why no feed can be had, with the way out; `undefined` where there is nothing of the kind. */
  readonly trouble: string | undefined;
  /** What an administrator may run where the user must not. */
  readonly createSql: string;
}

/** The columns by which the log names a row that was deleted: `null` where it does not. */
const IDENTITY = `CASE r.relreplident WHEN 'f' THEN NULL ELSE coalesce((SELECT pg_catalog.json_agg(a.attname)
    FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::pg_catalog.int2[])
    WHERE i.indrelid = r.oid AND i.indimmediate AND i.indisvalid
      AND CASE r.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END), '[]') END`;

/** Asks for all but the table itself, which the catalogue tells of. */
const LOOK_SQL = `SELECT pg_catalog.current_setting('wal_level'), pg_catalog.pg_is_in_recovery(),
  c.relpersistence, c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid),
  (WITH RECURSIVE parts(oid) AS (SELECT c.oid UNION ALL SELECT h.inhrelid FROM parts JOIN pg_catalog.pg_inherits h ON h.inhparent = parts.oid WHERE c.relkind = 'p')
    SELECT pg_catalog.json_agg(pg_catalog.json_build_object('name', pg_catalog.format('%I.%I', n.nspname, r.relname), 'foreign', r.relkind = 'f', 'identity', ${IDENTITY},
      'file', CASE WHEN r.relkind = 'r' AND c.relkind = 'p' THEN r.relfilenode::pg_catalog.text END, 'oid', r.oid::pg_catalog.text) ORDER BY r.oid)
    FROM parts JOIN pg_catalog.pg_class r ON r.oid = parts.oid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace),
  (SELECT pg_catalog.concat_ws(' ', p.oid, p.xmin, t.oid, t.xmin) FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel t ON t.prpubid = p.oid
    WHERE p.pubname = $2::pg_catalog.text AND t.prrelid = c.oid AND p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate),
  (SELECT pg_catalog.quote_ident(k.relname) FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class k ON k.oid = i.indexrelid
    WHERE i.indrelid = c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indnkeyatts = $4::pg_catalog.int4 AND NOT EXISTS (
      SELECT FROM unnest(i.indkey::pg_catalog.int2[]) AS u(number) LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number
      WHERE a.attname IS NULL OR NOT a.attnotnull OR a.attname <> ALL ($3::pg_catalog.text[])) LIMIT 1)
FROM pg_catalog.pg_class c WHERE c.oid = $1::pg_catalog.int8::pg_catalog.oid`;

interface Part {
  readonly oid: string;
  readonly name: string;
  readonly foreign: boolean;
  readonly identity: readonly string[] | null;
  readonly file: string | null;
}

/**
 * Looks at the table as it is now.
 *
 * @throws P2PError `SOURCE_NOT_FOUND` where it is gone.
 */
export async function lookAtPublished(store: PostgresqlStore, signal: AbortSignal): Promise<PublishedTable> {
  store.forgetTable();
  const table = await store.requireTable(signal);
  const place: Place = { database: store.endpoint.database, schema: table.schema, table: table.name };
  const publication = publicationName(place);
  const key = table.key.columns.map(({ column }) => column.name);
  const params: Cell[] = [String(table.oid), publication, arrayText(key), String(key.length)];
  const { rows } = await store.query("read", signal, LOOK_SQL, params);
  if (rows[0] === undefined) return lookAtPublished(store, signal);
  const [walLevel, inRecovery, persistence, hasChildren, partsText, publishedAs, index] = rows[0];
  const parts = JSON.parse(partsText!) as readonly Part[];
  const state: State = {
    walLevel: walLevel!,
    inRecovery: inRecovery === "t",
    persistence: persistence!,
    hasChildren: hasChildren === "t",
    parts,
    index: index ?? undefined,
  };
  const files = parts.flatMap(({ oid, file }) => (file === null ? [] : [`${oid}:${file}`]));
  return {
    table,
    place,
    publication,
    published: publishedAs !== null && publishedAs !== undefined,
    mark: [publishedAs ?? "", JSON.stringify(key), files.join(",")].join(" "),
    trouble: troubleOf(store, table, key, state),
    createSql: createPublicationSql(table, publication),
  };
}

/** The table's names, of one that was dropped as the endpoint has them: its slots hold back the log all the same. */
export async function placeOf(store: PostgresqlStore, signal: AbortSignal): Promise<Place> {
  const { database } = store.endpoint;
  try {
    const { schema, name } = await store.requireTable(signal);
    return { database, schema, table: name };
  } catch (error) {
    const { tableName } = store;
    if ((error as P2PError).code !== "SOURCE_NOT_FOUND" || tableName === undefined) throw error;
    const { rows } = await store.query("read", signal, "SELECT pg_catalog.current_schema()");
    return { database, schema: tableName.schema ?? rows[0]?.[0] ?? "public", table: tableName.name };
  }
}

function arrayText(names: readonly string[]): string {
  return `{${names.map((name) => `"${name.replaceAll(/["\\]/g, "\\$&")}"`).join(",")}}`;
}

interface State {
  readonly walLevel: string;
  readonly inRecovery: boolean;
  readonly persistence: string;
  readonly hasChildren: boolean;
  readonly parts: readonly Part[];
  /** An index that would do as the replica identity. */
  readonly index: string | undefined;
}

/** PostgreSQL 13, the first that publishes partitioned tables. */
const PUBLISHES_PARTITIONED = 130_000;

function troubleOf(store: PostgresqlStore, table: Table, key: readonly string[], state: State): string | undefined {
  const name = qualified(table);
  switch (table.type) {
    case "view":
    case "materializedView":
      return `${name} is a view, of which the log tells nothing; name the table under it`;
    case "foreign":
      return `${name} is a foreign table, of which this server's log tells nothing; name the server that has it`;
    case "partitioned":
      if (store.version < PUBLISHES_PARTITIONED)
        return `the server is too old to publish ${name}, a partitioned table; name its partitions, or upgrade to PostgreSQL 13`;
      break;
    default:
  }
  if (state.persistence !== "p") return `${name} is not in the log; ALTER TABLE ${name} SET LOGGED puts it there`;
  if (state.hasChildren)
    return `other tables inherit from ${name}, whose rows are told as their own; name these tables`;
  const generated = table.key.columns.find(({ column }) => column.generated);
  if (generated !== undefined)
    return `the key column ${quote(generated.column.name)} of ${name} is generated, and such columns are not told; name another key by the option key`;
  for (const part of state.parts) {
    if (part.foreign)
      return `the partition ${part.name} of ${name} is a foreign table, of which this server's log tells nothing`;
    if (part.identity === null || key.every((column) => part.identity!.includes(column))) continue;
    const way = state.index !== undefined && state.parts.length === 1 ? `USING INDEX ${state.index}` : "FULL";
    return `deletes in ${part.name} are not told by ${key.map(quote).join(", ")}, the key of its records, since its replica identity is another; ALTER TABLE ${part.name} REPLICA IDENTITY ${way} makes them so${part.identity.length === 0 ? ", as a PRIMARY KEY does" : ""}`;
  }
  if (state.inRecovery) return "the server is a standby; name the primary";
  if (state.walLevel !== "logical")
    return `wal_level is ${state.walLevel}; ALTER SYSTEM SET wal_level = logical and a restart of the server make it tell of its changes`;
  return undefined;
}

function createPublicationSql(table: Table, publication: string): string {
  const only = table.type === "partitioned" ? "" : "ONLY ";
  const options = [
    `publish = ${literal("insert, update, delete, truncate")}`,
    ...(table.type === "partitioned" ? ["publish_via_partition_root = true"] : []),
  ];
  return `CREATE PUBLICATION ${quote(publication)} FOR TABLE ${only}${qualified(table)} WITH (${options.join(", ")})`;
}

/** @throws P2PError `CHANGES_UNAVAILABLE` where the table's changes are not told. */
export function assertPublished(
  store: PostgresqlStore,
  { trouble, published, table, createSql }: PublishedTable,
): void {
  if (trouble !== undefined) throw unavailable(store, trouble);
  if (published) return;
  throw unavailable(
    store,
    `${qualified(table)} is not published; omni-p2p changes enable <endpoint> publishes it, or the owner of the table by ${createSql}`,
  );
}

/** The error of a feed that cannot be had, with the way out in words. */
export function unavailable({ label }: PostgresqlStore, what: string, cause?: unknown): P2PError {
  return new P2PError("CHANGES_UNAVAILABLE", `${label} does not tell of its changes: ${what}`, { cause });
}
