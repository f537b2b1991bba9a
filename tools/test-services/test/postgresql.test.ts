import { createPrivateKey, X509Certificate } from "node:crypto";
import { chmod, mkdir, mkdtemp, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, type ClientConfig } from "pg";
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from "vitest";
import { startService, type TestService } from "../src/index.ts";
import { closedToOthers } from "../src/ordinary-user.ts";
import { makeSelfSigned } from "../src/self-signed.ts";
import { untilGone } from "./processes.ts";

let service: TestService;
const lines: string[] = [];

beforeAll(async () => {
  service = await startService("postgresql", { exclusive: true, log: (line) => lines.push(line) });
});

afterAll(() => service?.stop());

type Row = Record<string, unknown>;

async function ask(question: string, config: ClientConfig = { connectionString: service.url }): Promise<Row[]> {
  const client = new Client({ connectionTimeoutMillis: 5_000, ...config });
  client.on("error", () => {});
  try {
    await client.connect();
    return (await client.query<Row>(question)).rows;
  } finally {
    await client.end();
  }
}

async function setting(name: string): Promise<unknown> {
  return (await ask(`select current_setting('${name}') as value`))[0]?.value;
}

it("says what it is, and never its password", async () => {
  const { url, how, version } = service;
  expect(service.product).toBe("PostgreSQL");
  expect(String((await ask("select version()"))[0]?.version)).toMatch(new RegExp(`^PostgreSQL ${version}[ (]`));
  expect(lines.at(-1)).toBe(`postgresql: ${how} PostgreSQL ${version} on ${new URL(url).host}`);
  expect(lines.join("\n")).not.toContain(new URL(url).password);
});

it("writes the log that changes are read from, and takes many connections", async () => {
  expect(await setting("wal_level")).toBe("logical");
  for (const name of ["max_replication_slots", "max_wal_senders"])
    expect(Number(await setting(name))).toBeGreaterThan(9);
  expect(await setting("max_connections")).toBe("200");
  const slot = "select slot_name from pg_create_logical_replication_slot('p2p_test', 'pgoutput', true)";
  expect(await ask(slot)).toEqual([{ slot_name: "p2p_test" }]);
});

it("holds text in UTF-8, in the order of its code points, and knows other collations and time zones", async () => {
  expect(await ask("select x from (values ('a'), ('B'), ('ä'), ('𝄞'), ('ﬀ')) v (x) order by x")).toEqual(
    ["B", "a", "ä", "ﬀ", "𝄞"].map((x) => ({ x })),
  );
  expect(await setting("server_encoding")).toBe("UTF8");
  expect(await ask(`select 'a' < 'B' collate "en-x-icu" as less`)).toEqual([{ less: true }]);
  const noon =
    "select timestamptz '2024-07-01 12:00Z' at time zone 'Asia/Shanghai' = timestamp '2024-07-01 20:00' as is";
  expect(await ask(noon)).toEqual([{ is: true }]);
});

it("has what belongs to every server: extensions, full-text search, and a user's own functions", async () => {
  await ask("create extension if not exists hstore");
  expect(await ask("select 'a=>1'::hstore -> 'a' as value")).toEqual([{ value: "1" }]);
  expect(await ask("select to_tsvector('english', 'The stores') @@ 'store' as found")).toEqual([{ found: true }]);
  const body = "do $$ begin raise exception 'from the function'; end $$";
  await expect(ask(body)).rejects.toThrow("from the function");
});

it("lets in whoever knows the password, and no one else", async () => {
  const { host } = new URL(service.url);
  await expect(ask("select 1", { connectionString: `postgresql://postgres:wrong@${host}/postgres` })).rejects.toThrow(
    /password authentication failed/,
  );
  await expect(ask("select 1", { connectionString: `postgresql://postgres@${host}/postgres` })).rejects.toThrow(
    /password must be a string/,
  );
  expect(await ask("select rolsuper from pg_roles where rolname = current_user")).toEqual([{ rolsuper: true }]);
});

it("speaks TLS with a certificate that is its own authority, and does without", async () => {
  const encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
  const [{ ca } = {}] = await ask("select pg_read_file(current_setting('ssl_cert_file')) as ca");
  const connectionString = service.url;
  expect(await ask(encrypted, { connectionString, ssl: { ca: String(ca) } })).toEqual([{ ssl: true }]);
  await expect(ask(encrypted, { connectionString, ssl: {} })).rejects.toThrow(/self-signed certificate/);
  expect(await ask(encrypted, { connectionString, ssl: false })).toEqual([{ ssl: false }]);
});

it("comes back on the same port with its data after a crash in the middle of a COPY", async () => {
  const { url, pid, restart } = service;
  await ask("create table kept (id int primary key); insert into kept values (1)");
  const busy = new Client({ connectionString: url });
  busy.on("error", () => {});
  await busy.connect();
  // The second statement waits for rows that never come.
  busy.query("insert into kept values (2); copy kept from stdin").catch(() => {});
  await vi.waitFor(async () => {
    const copies = await ask(
      "select 1 from pg_stat_activity where query like '%copy kept%' and pid <> pg_backend_pid()",
    );
    expect(copies).toHaveLength(1);
  });
  await restart?.(async () => {
    await expect(ask("select 1")).rejects.toThrow("ECONNREFUSED");
  });
  await busy.end().catch(() => {});
  expect(service.url).toBe(url);
  expect(await ask("select id from kept")).toEqual([{ id: 1 }]);
  if (pid !== undefined) {
    expect(service.pid).not.toBe(pid);
    await untilGone([pid], 1000);
  }
});

it("takes further settings, and waits for the disk when it is durable", async () => {
  expect(await setting("fsync")).toBe("off");
  const other = await startService("postgresql", { log: () => {}, durable: true, settings: { max_connections: "50" } });
  try {
    const connectionString = other.url;
    expect(await ask("show fsync", { connectionString })).toEqual([{ fsync: "on" }]);
    expect(await ask("show max_connections", { connectionString })).toEqual([{ max_connections: "50" }]);
    expect(new URL(other.url).password).not.toBe(new URL(service.url).password);
  } finally {
    await other.stop();
  }
});

it("is gone after stop, with the processes of its sessions", async () => {
  const { url, pid, stop } = await startService("postgresql", { exclusive: true, log: () => {} });
  const idle = new Client({ connectionString: url });
  idle.on("error", () => {});
  await idle.connect();
  const { rows } = await idle.query<{ pid: number }>("select pg_backend_pid() as pid");
  await stop();
  await stop();
  if (pid !== undefined) await untilGone([pid, rows[0]!.pid], 1000);
  await expect(ask("select 1", { connectionString: url })).rejects.toThrow("ECONNREFUSED");
});

it("says in one sentence why it did not start", async () => {
  const attempt = startService("postgresql", { log: () => {}, settings: { max_connections: "nonsense" } });
  await expect(attempt).rejects.toThrow(/postgres.*ended with code 1.*max_connections.*nonsense/s);
});

it("runs from what is unpacked, whatever is installed, and never as root", async () => {
  if (service.how !== "native") return expect(service.how).toBe("testcontainers");
  const program = await readlink(`/proc/${service.pid}/exe`);
  expect(program).toMatch(/\/usr\/lib\/postgresql\/\d+\/bin\/postgres$/);
  expect(program).not.toMatch(/^\/usr\//);
  const { uid } = await stat(`/proc/${service.pid}`);
  expect(uid).not.toBe(0);
  expect(uid).toBe(process.getuid?.() || 65_534);
});

it("makes a certificate that verifies for localhost and 127.0.0.1 and for no other host", () => {
  const { certificate, key } = makeSelfSigned();
  const parsed = new X509Certificate(certificate);
  expect(parsed.verify(parsed.publicKey)).toBe(true);
  expect(parsed.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(parsed.checkHost("localhost")).toBe("localhost");
  expect(parsed.checkIP("127.0.0.1")).toBe("127.0.0.1");
  expect(parsed.checkHost("example.com")).toBeUndefined();
  expect([Date.parse(parsed.validFrom) < Date.now(), Date.parse(parsed.validTo) > Date.now()]).toEqual([true, true]);
});

it("names the first folder that another user cannot enter", async () => {
  const outer = await mkdtemp(join(tmpdir(), "p2p-closed-"));
  onTestFinished(() => rm(outer, { recursive: true }));
  await mkdir(join(outer, "inner"));
  await chmod(join(outer, "inner"), 0o755);
  expect(await closedToOthers(join(outer, "inner"))).toBe(outer);
  await chmod(outer, 0o711);
  expect(await closedToOthers(join(outer, "inner"))).toBeUndefined();
});
