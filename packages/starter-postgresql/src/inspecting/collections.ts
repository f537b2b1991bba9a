/** The catalogue of a database: its tables and views in their schemas, with keys and foreign keys. */
import {
  type CollectionCatalogue,
  type CollectionName,
  type EndpointInfo,
  type ForeignKey,
  type ListedCollection,
  P2PError,
} from "@omni/p2p-core/starter";
import type { Ask } from "../client/catalogue.ts";
import { holdPool, openStore } from "../client/open.ts";
import { type ListedTable, listTables } from "../client/tables.ts";
import { parsePostgresqlEndpoint, tableNameText } from "../endpoint.ts";

export const postgresqlCollections: CollectionCatalogue = {
  async list(endpoint, context) {
    assertNoTable(endpoint);
    const parsed = parsePostgresqlEndpoint(endpoint, "source");
    const store = await openStore(parsed, { ...context, role: "source" });
    try {
      const ask = store.asking(context.signal);
      const found = await listTables(ask, parsed.schema);
      // In the schema that the endpoint names every name leads to its table.
      const tables = parsed.schema === undefined ? found : found.map((table) => ({ ...table, visible: true }));
      const about = await tellTables(
        ask,
        tables.map(({ oid }) => oid),
      );
      const byOid = new Map(tables.map((table) => [table.oid, table]));
      const [current] = (await ask("SELECT pg_catalog.current_schema()", [])).rows[0]!;
      return {
        collections: tables.map((table) => listed(table, about.get(table.oid), byOid)),
        ...(current != null && { namespace: current }),
      };
    } finally {
      await store.close();
    }
  },
  endpointOf(endpoint, { namespace, name }) {
    assertNoTable(endpoint);
    // Whoever names a schema means it for all of them.
    const schema = endpoint.metadata?.schema === undefined ? namespace : undefined;
    const named = { ...endpoint, metadata: { ...endpoint.metadata, table: tableNameText({ schema, name }) } };
    parsePostgresqlEndpoint(named, "target");
    return named;
  },
  hold: async (endpoint, context) => holdPool(parsePostgresqlEndpoint(endpoint, context.role), context),
  foreignKeys: {
    // A setting that only a superuser may make, or whoever was given it; else the server refuses the session.
    unchecked(endpoint) {
      const given = parsePostgresqlEndpoint(endpoint, "target").settings;
      const options = `${given === undefined ? "" : `${given} `}-c session_replication_role=replica`;
      return { ...endpoint, metadata: { ...endpoint.metadata, options } };
    },
    alsoOff: "triggers and rules",
    async violations(endpoint, context) {
      const store = await openStore(parsePostgresqlEndpoint(endpoint, "source"), { ...context, role: "source" });
      try {
        const table = await store.requireTable(context.signal);
        const ask = store.asking(context.signal);
        return await countViolations(ask, table.oid);
      } finally {
        await store.close();
      }
    },
  },
};

/** The foreign keys of a table, each as a question for the rows that break it. */
const VIOLATIONS = `SELECT pg_catalog.format('SELECT pg_catalog.count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)',
    k.conrelid::pg_catalog.regclass,
    pg_catalog.string_agg(pg_catalog.format('c.%I IS NOT NULL', a.attname), ' AND '),
    k.confrelid::pg_catalog.regclass,
    pg_catalog.string_agg(pg_catalog.format('p.%I = c.%I', b.attname, a.attname), ' AND '))
  FROM pg_catalog.pg_constraint k
    CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u(own, other)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.own
    JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.other
  WHERE k.contype = 'f' AND k.conrelid = $1::pg_catalog.text::pg_catalog.oid
  GROUP BY k.oid, k.conrelid, k.confrelid`;

async function countViolations(ask: Ask, oid: number): Promise<number> {
  const { rows } = await ask(VIOLATIONS, [String(oid)]);
  let violations = 0;
  for (const [sql] of rows) violations += Number((await ask(sql!, [])).rows[0]![0]);
  return violations;
}

function assertNoTable(endpoint: EndpointInfo): void {
  const { table, key, label } = parsePostgresqlEndpoint(endpoint, "source");
  if (table === undefined && key === undefined) return;
  throw new P2PError(
    "INVALID_ENDPOINT",
    `Invalid endpoint ${label}: it names ${table === undefined ? "a key" : `the table ${tableNameText(table)}`}, and the whole database is asked for; leave that option out`,
  );
}

/** What the server says of a table beyond its name. */
interface AboutTable {
  readonly oid: number;
  readonly rows: number | null;
  readonly key: readonly string[] | null;
  readonly foreignKeys: readonly { readonly fields: readonly string[]; readonly references: number }[] | null;
  /** Whether a session with `session_replication_role = replica` would do other than one without. */
  readonly triggers: boolean;
}

/** Names of columns by their numbers, in the order of the numbers. */
const NAMES = (numbers: string): string =>
  `(SELECT pg_catalog.json_agg(a.attname ORDER BY u.place) FROM unnest(${numbers}) WITH ORDINALITY AS u(number, place)
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number)`;

/** All of them in one round trip. Numbers of rows are the server's own estimates. */
async function tellTables(ask: Ask, oids: readonly number[]): Promise<Map<number, AboutTable>> {
  const { rows } = await ask(
    `SELECT pg_catalog.json_build_object('oid', c.oid::pg_catalog.int8,
      'rows', CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE nullif(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) END,
      'key', (SELECT ${NAMES("k.conkey")} FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p'),
      'foreignKeys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object('fields', ${NAMES("k.conkey")},
          'references', k.confrelid::pg_catalog.int8) ORDER BY k.conname)
        FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conparentid = 0),
      'triggers', EXISTS (SELECT FROM pg_catalog.pg_trigger g
          WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'R'))
        OR EXISTS (SELECT FROM pg_catalog.pg_rewrite r
          WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN' AND r.ev_enabled IN ('O', 'R')))
    FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::pg_catalog.text::pg_catalog.oid[])`,
    [`{${oids.join(",")}}`],
  );
  const about = rows.map(([text]) => JSON.parse(text!) as AboutTable);
  return new Map(about.map((table) => [table.oid, table]));
}

function listed(
  table: ListedTable,
  about: AboutTable | undefined,
  byOid: ReadonlyMap<number, ListedTable>,
): ListedCollection {
  const { schema: namespace, name, visible } = table;
  const kind = table.kind === "v" || table.kind === "m" ? "view" : "table";
  if (about === undefined) return { namespace, name, visible, kind, trouble: "it was dropped meanwhile" };
  const foreignKeys = (about.foreignKeys ?? []).flatMap(({ fields, references }): ForeignKey[] => {
    const target = byOid.get(references);
    return target === undefined ? [] : [{ fields, references: nameOf(target) }];
  });
  return {
    ...{ namespace, name, visible, kind },
    ...(about.rows !== null && kind === "table" && { records: Math.round(about.rows) }),
    ...(about.key !== null && { key: about.key }),
    ...(foreignKeys.length > 0 && { foreignKeys }),
    ...(about.triggers && { triggers: true }),
  };
}

function nameOf({ schema, name }: ListedTable): CollectionName {
  return { namespace: schema, name };
}
