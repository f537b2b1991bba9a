import type { ServiceKind } from "./service.ts";

/** What a server says of itself. */
export interface Identity {
  readonly product: string;
  readonly version: string;
}

const patienceMs = 5_000;

/** Connects to a server, and resolves with what it is. Rejects when it does not answer within five seconds. */
export async function probe(kind: ServiceKind, url: string): Promise<Identity> {
  switch (kind) {
    case "redis":
      return probeRedis(url);
    case "mongodb":
      return probeMongodb(url);
    case "elasticsearch":
      return probeElasticsearch(url);
    case "postgresql":
      return probePostgresql(url);
  }
}

/** Asks a Redis server what it is. */
export async function probeRedis(url: string): Promise<Identity> {
  const { Redis } = await import("ioredis");
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: patienceMs,
    commandTimeout: patienceMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // connect() rejects with no more than "Connection is closed": the reason comes as an event before.
  let reason: Error | undefined;
  client.on("error", (error) => {
    reason = error;
  });
  try {
    await client.connect();
    const info = await client.info("server");
    const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1];
    const valkey = field("valkey_version");
    return valkey === undefined
      ? { product: "Redis", version: field("redis_version") ?? "unknown" }
      : { product: "Valkey", version: valkey };
  } catch (error) {
    throw reason ?? error;
  } finally {
    client.disconnect();
  }
}

interface BuildInfo {
  readonly version: string;
  readonly ferretdb?: { readonly version: string };
  readonly ferretdbVersion?: string;
}

async function probeMongodb(url: string): Promise<Identity> {
  const { MongoClient } = await import("mongodb");
  const client = new MongoClient(url, { serverSelectionTimeoutMS: patienceMs, connectTimeoutMS: patienceMs });
  try {
    const info = (await client.db("admin").command({ buildInfo: 1 })) as unknown as BuildInfo;
    const ferretdb = info.ferretdb?.version ?? info.ferretdbVersion;
    return ferretdb === undefined
      ? { product: "MongoDB", version: info.version }
      : { product: "FerretDB", version: ferretdb.replace(/^v/, "") };
  } finally {
    await client.close();
  }
}

async function probeElasticsearch(url: string): Promise<Identity> {
  const { username, password, ...target } = splitCredentials(url);
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const response = await fetch(target.url, {
    headers: username ? { authorization } : {},
    signal: AbortSignal.timeout(patienceMs),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const { version } = (await response.json()) as { version: { number: string; distribution?: string } };
  return { product: version.distribution === "opensearch" ? "OpenSearch" : "Elasticsearch", version: version.number };
}

/** Asks a PostgreSQL server, or another that speaks its protocol, what it is. */
export async function probePostgresql(url: string): Promise<Identity> {
  const { Client } = await import("pg");
  const client = new Client({ connectionString: url, connectionTimeoutMillis: patienceMs, query_timeout: patienceMs });
  // A connection that breaks says so by an event as well, which nobody else listens to.
  client.on("error", () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>("select version()");
    const [, product = "unknown", version = "unknown"] = /^(\w+)\D*([\w.]+)/.exec(rows[0]?.version ?? "") ?? [];
    return { product, version };
  } finally {
    await client.end();
  }
}

/** fetch refuses a URL with credentials in it. */
function splitCredentials(text: string): { url: string; username: string; password: string } {
  const url = new URL(text);
  const username = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  url.username = "";
  url.password = "";
  return { url: url.href, username, password };
}
