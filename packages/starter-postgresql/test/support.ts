import {
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  type P2PError,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadOptions,
  type RecordBatch,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { Client } from "pg";
import { afterAll, afterEach } from "vitest";
import { openStore } from "../src/client/open.ts";
import { quote } from "../src/client/sql.ts";
import type { PostgresqlStore } from "../src/client/store.ts";
import { parsePostgresqlEndpoint } from "../src/endpoint.ts";
import { postgresqlStarter } from "../src/index.ts";

const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Runs when the test is over. */
export function cleanUp(clean: () => unknown): void {
  cleanups.push(clean);
}

/** A signal that never aborts. */
export const calm: AbortSignal = new AbortController().signal;

/** Schemas of a suite, which are dropped when it ends, and a way to the server as another program has it. */
export class Scratch {
  readonly url: string;
  readonly #suite: string;
  readonly #schemas: string[] = [];
  #client: Promise<Client> | undefined;

  constructor(url: string, suite: string) {
    this.url = url;
    this.#suite = suite;
    afterAll(async () => {
      if (this.#client === undefined) return;
      const client = await this.#client;
      for (const schema of this.#schemas) await client.query(`DROP SCHEMA IF EXISTS ${quote(schema)} CASCADE`);
      await client.end();
    });
  }

  /** A new schema; what the SQL makes without naming another lands in it. */
  async schema(sql = ""): Promise<ScratchSchema> {
    const name = `t_${this.#suite}_${process.pid}_${this.#schemas.length + 1}`;
    this.#schemas.push(name);
    await this.sql(`CREATE SCHEMA ${quote(name)}`);
    const schema = new ScratchSchema(this, name);
    if (sql !== "") await schema.sql(sql);
    return schema;
  }

  /** Runs SQL as a program beside us; gives the rows of the last statement, all values as text. */
  async sql(text: string): Promise<(string | null)[][]> {
    this.#client ??= connected(this.url);
    const client = await this.#client;
    const answers = await client.query({
      text,
      rowMode: "array",
      types: { getTypeParser: () => (value: string) => value } as never,
    });
    const last = Array.isArray(answers) ? answers.at(-1) : answers;
    return last.rows as (string | null)[][];
  }
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** One schema of a suite. */
export class ScratchSchema {
  readonly #scratch: Scratch;
  readonly name: string;

  constructor(scratch: Scratch, name: string) {
    this.#scratch = scratch;
    this.name = name;
  }

  sql(text: string): Promise<(string | null)[][]> {
    return this.#scratch.sql(`SET search_path = ${quote(this.name)}, public; ${text}`);
  }

  /** The endpoint of a table in this schema, written as the option `table` has it. */
  endpoint(table?: string, options: Record<string, unknown> = {}): EndpointInfo {
    const { host, port, database, metadata } = parseEndpoint(this.#scratch.url);
    return parseEndpoint({
      storageType: "postgresql",
      host,
      port,
      database,
      metadata: { ...metadata, schema: this.name, ...(table !== undefined && { table }), ...options },
    });
  }

  /** Opens the store alone, without the service upon it. */
  async store(
    table?: string,
    options: Record<string, unknown> = {},
    role: OpenContext["role"] = "target",
  ): Promise<PostgresqlStore> {
    const endpoint = parsePostgresqlEndpoint(this.endpoint(table, options), role);
    const store = await openStore(endpoint, { role, signal: calm, connectTimeoutMs: 10_000 });
    cleanUp(() => store.close());
    return store;
  }

  /** Opens a table as the manager does; it is closed after the test. */
  async open(
    table?: string,
    options: Record<string, unknown> = {},
    role: OpenContext["role"] = "source",
  ): Promise<P2PDataTransferService> {
    const service = await openEndpoint(this.endpoint(table, options), role);
    cleanUp(() => service.close());
    return service;
  }
}

/** The endpoint of a server, as its URL has it but for some options. */
export function serverEndpoint(url: string, options: Record<string, unknown> = {}, name?: string): EndpointInfo {
  const { host, port, database, metadata } = parseEndpoint(url);
  return parseEndpoint({
    storageType: "postgresql",
    host,
    port,
    database: name ?? database,
    metadata: { ...metadata, ...options },
  });
}

/** Opens an endpoint as the manager does. */
export function openEndpoint(
  endpoint: EndpointInfo,
  role: OpenContext["role"] = "source",
  connectTimeoutMs = 10_000,
): Promise<P2PDataTransferService> {
  return postgresqlStarter.open(endpoint, { role, signal: calm, connectTimeoutMs });
}

/** All batches of a query. */
export async function readBatches(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal: calm, ...options })) {
    batches.push(batch);
  }
  return batches;
}

/** All records of a query. */
export async function readAll(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<P2PRecord[]> {
  return (await readBatches(service, query, options)).flatMap(({ records }) => records);
}

/** Writes records in one batch. */
export function write(
  service: P2PDataTransferService,
  records: readonly P2PRecord[],
  mode: WriteMode = "upsert",
): Promise<WriteResult> {
  return service.writeToTarget(records, { mode, signal: calm });
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<P2PError> {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error === undefined) throw new Error("it was not rejected");
  return error as P2PError;
}
