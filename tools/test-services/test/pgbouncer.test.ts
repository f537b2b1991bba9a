import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startPgbouncer, startService, type TestService } from "../src/index.ts";
import { untilGone } from "./processes.ts";

let server: TestService;
let pooler: TestService;

beforeAll(async () => {
  server = await startService("postgresql", { exclusive: true, log: () => {} });
  pooler = await startPgbouncer(server.url, { log: () => {}, settings: { default_pool_size: "1" } });
});

afterAll(async () => {
  await pooler?.stop();
  await server?.stop();
});

async function connected(connectionString: string): Promise<Client> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

const session = "select pg_backend_pid() as pid";

it("gives the transactions of several clients one session of the server", async () => {
  const clients = await Promise.all([connected(pooler.url), connected(pooler.url)]);
  const pids = await Promise.all(clients.map(async (client) => (await client.query(session)).rows[0].pid));
  expect(new Set(pids).size).toBe(1);
  // What one sets for its session the other finds there, which is why none may be set outside a transaction.
  await clients[0]!.query("set search_path = pg_catalog");
  expect((await clients[1]!.query("show search_path")).rows).toEqual([{ search_path: "pg_catalog" }]);
  await Promise.all(clients.map((client) => client.end()));
});

it("comes back on the same port after a crash", async () => {
  const { url } = pooler;
  await pooler.restart?.(async () => {
    await expect(connected(url)).rejects.toThrow("ECONNREFUSED");
  });
  const client = await connected(url);
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
  await client.end();
});

it("asks for the password, and is gone after stop with the server still there", async () => {
  const { url, pid } = pooler;
  const wrong = new URL(url);
  wrong.password = "wrong";
  await expect(connected(wrong.href)).rejects.toThrow(/SASL authentication failed|password/);
  await pooler.stop();
  if (pid !== undefined) await untilGone([pid], 1000);
  await expect(connected(url)).rejects.toThrow("ECONNREFUSED");
  await (await connected(server.url)).end();
});
