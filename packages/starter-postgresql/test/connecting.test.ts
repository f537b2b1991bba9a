import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type EndpointInfo, type OpenContext, type P2PError, redactText, secretsOf } from "@omni/p2p-core/starter";
import { startProxy } from "@omni/p2p-test-services";
import { describeWithOwnService, describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, describe, expect, it } from "vitest";
import { openStore } from "../src/client/open.ts";
import { parsePostgresqlEndpoint } from "../src/endpoint.ts";
import { calm, cleanUp, rejection, Scratch, serverEndpoint } from "./support.ts";

const open = async (
  endpoint: EndpointInfo,
  role: OpenContext["role"] = "source",
  connectTimeoutMs = 5000,
  signal = calm,
) => {
  const store = await openStore(parsePostgresqlEndpoint(endpoint, role), { role, signal, connectTimeoutMs });
  cleanUp(() => store.close());
  return store;
};

const refusal = async (
  endpoint: EndpointInfo,
  role: OpenContext["role"] = "source",
  connectTimeoutMs = 5000,
): Promise<P2PError> => {
  const error = await rejection(open(endpoint, role, connectTimeoutMs));
  const password = String(endpoint.metadata?.password ?? "none given");
  expect(error.message).not.toContain(password);
  return error;
};

/** Whether the session of a store is encrypted. */
const encrypted = async (endpoint: EndpointInfo) => {
  const store = await open(endpoint);
  return (
    (await store.query("read", calm, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")).rows[0]![0] === "t"
  );
};

const folder = mkdtempSync(join(tmpdir(), "p2p-postgresql-"));
afterAll(() => rmSync(folder, { recursive: true }));

const listening = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
  cleanUp(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

describe("connecting to what is no PostgreSQL server", () => {
  const at = (port: number, options: Record<string, unknown> = {}): EndpointInfo => ({
    endpointId: "x",
    storageType: "postgresql",
    host: "127.0.0.1",
    port,
    database: "app",
    metadata: { username: "al", password: "very-secret", ...options },
  });

  it("finds Linux's abstract Unix sockets", async () => {
    if (process.platform !== "linux") {
      console.log("not run: there are no abstract Unix sockets on this system");
      return;
    }
    const host = `@p2p-${process.pid}`;
    const server = createServer((socket) => socket.end("HTTP/1.1 400 Bad Request"));
    await new Promise<void>((resolve) => server.listen(`\0${host.slice(1)}/.s.PGSQL.5432`, resolve));
    cleanUp(() => server.close());
    const error = await refusal({ ...at(5432, { host }), host: undefined });
    expect([error.code, error.message]).toEqual([
      "CONNECTION_FAILED",
      expect.stringMatching(/^Cannot connect to postgresql:app: .*no PostgreSQL server/),
    ]);
  });

  it("says so of a server of HTTP, whatever sslmode says", async () => {
    const port = await listening(createHttpServer((_, response) => response.end("hello")));
    for (const sslmode of ["disable", "prefer", "require"]) {
      const error = await refusal(at(port, { sslmode }));
      expect([error.code, error.message], sslmode).toEqual([
        "CONNECTION_FAILED",
        expect.stringMatching(/no PostgreSQL server/),
      ]);
    }
  });

  it("gives up one that never answers when the time is over, and at once when the signal aborts", async () => {
    const port = await listening(createServer(() => {}));
    for (const sslmode of ["disable", "require"]) {
      const error = await refusal(at(port, { sslmode }), "source", 300);
      expect([error.code, error.message], sslmode).toEqual(["TIMEOUT", expect.stringMatching(/did not answer within/)]);
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 50);
    const started = performance.now();
    expect((await rejection(open(at(port), "source", 60_000, controller.signal))).message).toBe("enough");
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it("says so where nothing listens, and where there is no host", async () => {
    const port = await listening(createServer(() => {}));
    const free = await new Promise<number>((resolve) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port: found } = server.address() as AddressInfo;
        server.close(() => resolve(found));
      });
    });
    const error = await refusal(at(free));
    expect([error.code, error.message]).toEqual([
      "CONNECTION_FAILED",
      expect.stringMatching(/ECONNREFUSED.*server runs/),
    ]);
    const many = await refusal(
      { ...at(free), metadata: { username: "al", hosts: `127.0.0.1:${free},127.0.0.1:${port}` } },
      "source",
      600,
    );
    expect(many.message).toMatch(
      /none of its 2 hosts would do: 127\.0\.0\.1:\d+: .*ECONNREFUSED.*; 127\.0\.0\.1:\d+: .*did not answer/,
    );
    const missing = await refusal({
      ...at(port),
      metadata: { username: "al", host: `${folder}` },
      host: undefined,
      port: undefined,
    });
    expect(missing.message).toMatch(/ENOENT/);
  });
});

describeWithService("postgresql", "connecting", ({ url }) => {
  const scratch = new Scratch(url, "connecting");
  const server = (options: Record<string, unknown> = {}, database?: string) => serverEndpoint(url, options, database);
  const certificate = async () => {
    const file = join(folder, "ca.pem");
    const [[text]] = (await scratch.sql("SELECT pg_read_file(current_setting('ssl_cert_file'))")) as [[string]];
    writeFileSync(file, text);
    return file;
  };

  it("tells a wrong password, one that is missing, and a role that may not log in", async () => {
    const wrong = await refusal(server({ password: "not-the-password" }));
    expect([wrong.code, wrong.retryable]).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(wrong.message).toMatch(/password authentication failed.*Check user name and password/);
    const none = await refusal(server({ password: undefined, passfile: join(folder, "none") }));
    expect([none.code, none.message]).toEqual([
      "AUTHENTICATION_FAILED",
      expect.stringMatching(/asks for a password.*PGPASSWORD/),
    ]);
    const file = join(folder, "open");
    writeFileSync(file, "*:*:*:*:x\n");
    chmodSync(file, 0o644);
    expect((await refusal(server({ password: undefined, passfile: file }))).message).toMatch(/chmod 600/);
  });

  it("takes the password from the password file", async () => {
    const file = join(folder, "pgpass");
    const { password, username } = server().metadata as { password: string; username: string };
    writeFileSync(file, `wrong:*:*:*:x\n*:*:*:${username}:${password}\n`, { mode: 0o600 });
    await open(server({ password: undefined, passfile: file }));
  });

  it("names the databases where the one asked for is missing", async () => {
    await scratch.sql("SELECT 1");
    const error = await refusal(server({}, "postgers"));
    expect([error.code, error.message]).toEqual([
      "SOURCE_NOT_FOUND",
      expect.stringMatching(/no database "postgers" \(did you mean "postgres"\?\); there are .*postgres/),
    ]);
    // The user's name is taken out of what is shown.
    expect(redactText(error.message, secretsOf(server({}, "postgers")))).toMatch(
      /there are .*\[redacted\] \(named as the user\)/,
    );
    const target = await refusal(server({}, "postgers"), "target");
    expect([target.code, target.message]).toEqual(["INVALID_ENDPOINT", expect.stringMatching(/CREATE DATABASE/)]);
  });

  it("says that the database is missing which the user's name stands for", async () => {
    const user = `t_nobody_${process.pid}`;
    await scratch.sql(`CREATE ROLE ${user} LOGIN PASSWORD 'pw'`);
    cleanUp(() => scratch.sql(`DROP ROLE ${user}`));
    const endpoint = { ...server({ username: user, password: "pw" }), database: undefined };
    const error = await refusal(endpoint);
    expect(error.code).toBe("SOURCE_NOT_FOUND");
    expect(redactText(error.message, secretsOf(endpoint))).toMatch(
      /^Cannot connect to postgresql:\/\/127\.0\.0\.1:\d+: there is no database "\[redacted\]" \(named as the user\); there are .*postgres/,
    );
  });

  it("encrypts as sslmode says", async () => {
    const ca = await certificate();
    expect(await encrypted(server({ sslmode: "disable" }))).toBe(false);
    expect(await encrypted(server({ sslmode: "allow" }))).toBe(false);
    expect(await encrypted(server())).toBe(true);
    expect(await encrypted(server({ sslmode: "require" }))).toBe(true);
    expect(await encrypted(server({ sslmode: "verify-ca", sslrootcert: ca }))).toBe(true);
    expect(await encrypted(server({ sslmode: "verify-full", sslrootcert: ca }))).toBe(true);
    expect(await encrypted(server({ channel_binding: "require" }))).toBe(true);
  });

  it("refuses whom it does not trust", async () => {
    const ca = await certificate();
    const unknown = await refusal(server({ sslmode: "verify-full", sslrootcert: "system" }));
    expect([unknown.code, unknown.message]).toEqual([
      "CONNECTION_FAILED",
      expect.stringMatching(/not trusted: give sslrootcert/),
    ]);
    const other = { ...server({ sslmode: "verify-full", sslrootcert: ca }), host: "127.0.0.2" };
    expect((await refusal(other)).message).toMatch(/that of another host|ECONNREFUSED/);
    const missing = await refusal(server({ sslmode: "verify-ca", sslrootcert: "/no/such.pem" }));
    expect([missing.code, missing.message]).toEqual([
      "INVALID_ENDPOINT",
      expect.stringMatching(/sslrootcert cannot be read: ENOENT/),
    ]);
    expect((await refusal(server({ sslmode: "require", sslrootcert: "system" }))).code).toBe("INVALID_ENDPOINT");
    const unbound = await refusal(server({ sslmode: "disable", channel_binding: "require" }));
    expect(unbound.message).toMatch(/channel_binding=require/);
  });

  it("refuses a client's key that others can read", async () => {
    const file = join(folder, "key.pem");
    writeFileSync(file, "x");
    chmodSync(file, 0o644);
    expect((await refusal(server({ sslmode: "require", sslcert: file, sslkey: file }))).message).toMatch(/chmod 600/);
    expect(
      (await refusal(server({ sslmode: "require", sslcert: file, sslkey: join(folder, "nokey") }))).message,
    ).toMatch(/sslkey cannot be read/);
  });

  it("tries one host after another, and goes by target_session_attrs", async () => {
    const { host, port } = server();
    const hosts = `127.0.0.1:1,${host}:${port}`;
    await open(server({ hosts }));
    await open(server({ hosts }), "target");
    await open(server({ hosts, target_session_attrs: "prefer-standby" }));
    const standby = await refusal(server({ target_session_attrs: "standby" }));
    expect(standby.message).toMatch(/target_session_attrs=standby, and the server is the primary/);
    // The password is not tried on the others.
    expect((await refusal(server({ hosts: `${host}:${port},127.0.0.1:1`, password: "wrong-one" }))).code).toBe(
      "AUTHENTICATION_FAILED",
    );
  });

  it("does not write to a database that takes no writes", async () => {
    const frozen = await refusal(server({ options: "-c default_transaction_read_only=on" }), "target");
    expect([frozen.code, frozen.message]).toEqual([
      "TARGET_NOT_WRITABLE",
      expect.stringMatching(/read-only .*name the primary/),
    ]);
    await open(server({ options: "-c default_transaction_read_only=on" }), "source");
  });

  it("tells a server that asks for TLS at once", async () => {
    const port = await listening(createTlsServer({}) as unknown as Server);
    const error = await refusal({ ...server({ sslmode: "disable" }), port }, "source", 1000);
    expect(["CONNECTION_FAILED", "TIMEOUT"]).toContain(error.code);
  });

  it("gives up at once on a connection that has gone silent, and finds another", async () => {
    await using proxy = await startProxy(url);
    const store = await open({ ...server(), port: proxy.port });
    expect((await store.query("read", calm, "SELECT 1")).rows).toEqual([["1"]]);
    proxy.stall();
    for (const doing of ["read", "ping"] as const) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("enough")), 100);
      const started = performance.now();
      const error = await rejection(store.query(doing, controller.signal, "SELECT 1"));
      expect(error.message).toMatch(/enough|did not answer/);
      expect(performance.now() - started).toBeLessThan(2000);
    }
    proxy.resume();
    proxy.cut();
    await expect
      .poll(async () => (await store.query("read", calm, "SELECT 2")).rows, { timeout: 10_000 })
      .toEqual([["2"]]);
  });

  it("tells a connection that is cut in the middle as lost", async () => {
    await using proxy = await startProxy(url);
    const store = await open({ ...server(), port: proxy.port });
    const running = rejection(store.query("read", calm, "SELECT pg_sleep(30)"));
    setTimeout(() => proxy.cut(), 200);
    const error = await running;
    expect([error.code, error.retryable]).toEqual(["CONNECTION_LOST", true]);
    expect((await store.query("read", calm, "SELECT 2")).rows).toEqual([["2"]]);
  });

  it("connects through a Unix socket", async () => {
    const [[sockets]] = (await scratch.sql("SHOW unix_socket_directories")) as [[string]];
    if (sockets === "") return;
    const { port } = server();
    const store = await open({ ...server({ host: sockets }), host: undefined, port });
    expect(store.label).toBe("postgresql:postgres");
  });
});

await describeWithOwnService("postgresql", {}, "a server that takes encrypted connections alone", ({ url }) => {
  const scratch = new Scratch(url, "hostssl");

  it("is reached by all modes but disable, which says so", async () => {
    // Its own rules for who may come: over the network only with TLS.
    await scratch.sql(
      "DO $$ BEGIN EXECUTE format('COPY (VALUES (''hostssl all all all scram-sha-256'')) TO %L', current_setting('hba_file')); PERFORM pg_reload_conf(); END $$",
    );
    await expect
      .poll(() =>
        openStore(parsePostgresqlEndpoint(serverEndpoint(url, { sslmode: "disable" }), "source"), {
          role: "source",
          signal: calm,
          connectTimeoutMs: 5000,
        }).then(
          (store) => store.close(),
          () => "refused",
        ),
      )
      .toBe("refused");
    const error = await refusal(serverEndpoint(url, { sslmode: "disable" }));
    expect([error.code, error.message]).toEqual([
      "AUTHENTICATION_FAILED",
      expect.stringMatching(/no encryption.*sslmode/),
    ]);
    for (const sslmode of ["allow", "prefer", "require"])
      expect(await encrypted(serverEndpoint(url, { sslmode })), sslmode).toBe(true);
  });
});

await describeWithOwnService(
  "postgresql",
  { settings: { ssl: "off", max_connections: "5", superuser_reserved_connections: "1" } },
  "a server without TLS, and with few connections",
  ({ url }) => {
    it("is reached by allow and prefer, and not by require", async () => {
      for (const sslmode of ["disable", "allow", "prefer"])
        expect(await encrypted(serverEndpoint(url, { sslmode })), sslmode).toBe(false);
      const error = await refusal(serverEndpoint(url, { sslmode: "require" }));
      expect([error.code, error.message]).toEqual([
        "CONNECTION_FAILED",
        expect.stringMatching(/does not speak TLS; sslmode=require asks for it/),
      ]);
    });

    it("tells what hinders the plain connection after the encrypted one", async () => {
      const error = await refusal(serverEndpoint(url, { options: "-c default_transaction_read_only=on" }), "target");
      expect([error.code, error.message]).toEqual(["TARGET_NOT_WRITABLE", expect.stringMatching(/read-only/)]);
      expect((await refusal(serverEndpoint(url, { target_session_attrs: "standby" }))).message).toMatch(
        /server is the primary/,
      );
      expect((await refusal(serverEndpoint(url, {}, "nowhere"))).code).toBe("SOURCE_NOT_FOUND");
    });

    it("is told to be full, and shared by those who have connections", async () => {
      const store = await open(serverEndpoint(url));
      const slow = () => store.query("read", calm, "SELECT pg_sleep(0.3)");
      // More at a time than the server has.
      await Promise.all(Array.from({ length: 8 }, slow));
      const held = Array.from({ length: 8 }, slow);
      await new Promise((resolve) => setTimeout(resolve, 150));
      const error = await refusal(serverEndpoint(url));
      expect(error.code).toBe("BUSY");
      expect(error.message).toMatch(/too many clients|connection slots/);
      await Promise.all(held);
    });
  },
);
