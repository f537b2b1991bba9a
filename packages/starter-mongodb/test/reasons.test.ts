import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { BSON, type Document } from "mongodb";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { endpointFor, open, rejection } from "./scratch.ts";

const run = promisify(execFile);

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(server: Server): Promise<string> {
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `mongodb://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers every message with this document, as a MongoDB server would. */
function answering(reply: Document): (socket: Socket) => void {
  return (socket) => {
    socket.on("error", () => {});
    socket.on("data", (message) => {
      const isQuery = message.readInt32LE(12) === 2004;
      const body = BSON.serialize({ ok: 1, minWireVersion: 0, maxWireVersion: 21, ...reply });
      const head = Buffer.alloc(isQuery ? 36 : 21);
      head.writeInt32LE(head.length + body.length, 0);
      head.writeInt32LE(message.readInt32LE(4), 8);
      head.writeInt32LE(isQuery ? 1 : 2013, 12);
      if (isQuery) head.writeInt32LE(1, 32);
      socket.write(Buffer.concat([head, body]));
    });
  };
}

async function refusal(url: string, options: Record<string, unknown>, timeoutMs = 2000) {
  const startedAt = performance.now();
  const error = await rejection(open(endpointFor(url, "db", { collection: "c", ...options }), "source", timeoutMs));
  return { error, ms: performance.now() - startedAt };
}

describe("why a server cannot be connected to", () => {
  test("the name of another replica set is told at once, with the right one", async () => {
    const url = await listening(
      createServer(answering({ isWritablePrimary: true, setName: "rs-real", hosts: ["127.0.0.1:1"] })),
    );
    const { error, ms } = await refusal(url, { replicaSet: "rs-wrong" }, 10_000);
    expect(error.code).toBe("INVALID_ENDPOINT");
    expect(error.message).toContain('"rs-wrong"');
    expect(error.message).toContain("replicaSet=rs-real");
    expect(ms).toBeLessThan(5000);
  });

  test("a replica set without a primary", async () => {
    const server = createServer((socket) => answering(reply)(socket));
    const url = await listening(server);
    const me = url.slice("mongodb://".length);
    const reply = { isWritablePrimary: false, secondary: true, setName: "rs", hosts: [me], me };
    const { error } = await refusal(url, { replicaSet: "rs" });
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("none of them is the primary");
  });

  test("what the socket said, where the driver says no more than that time is over", async () => {
    const url = await listening(createServer((socket) => socket.destroy()));
    const { error } = await refusal(url, {});
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toMatch(/closed|ECONNRESET/);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("a server that accepts and says nothing is TIMEOUT", async () => {
    const url = await listening(createServer((socket) => socket.on("error", () => {})));
    for (const tls of [false, true]) {
      const { error, ms } = await refusal(url, { tls }, 1000);
      expect(error.code).toBe("TIMEOUT");
      expect(ms).toBeLessThan(2500);
    }
  });
});

describe("TLS on one side alone", async () => {
  const openssl = await run("openssl", ["version"]).catch(() => undefined);
  if (openssl === undefined) {
    console.info("skipped TLS: there is no openssl");
    test.skip("there is no openssl", () => {});
    return;
  }
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "p2p-tls-"));
    const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
    await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=x", ...files]);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const tlsServer = async () =>
    createTlsServer(
      { key: await readFile(join(folder, "key.pem")), cert: await readFile(join(folder, "cert.pem")) },
      (socket) => socket.on("error", () => {}),
    ).on("tlsClientError", (_, socket) => socket.destroy());

  test("a plain connection to a server that wants it", async () => {
    const { error, ms } = await refusal(await listening(await tlsServer()), {}, 10_000);
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("wants TLS: add tls=true");
    expect(ms).toBeLessThan(5000);
  });

  test("a certificate that is not trusted", async () => {
    const { error } = await refusal(await listening(await tlsServer()), { tls: true });
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toContain("tlsCAFile");
  });
});

describeWithService("mongodb", "TLS to a server without it", (service) => {
  test("is told as that, and so is a replica set that is none", async () => {
    const { error, ms } = await refusal(service.url, { tls: true }, 10_000);
    expect(error.code).toBe("CONNECTION_FAILED");
    expect(error.message).toMatch(/not speak TLS: leave tls out/);
    expect(ms).toBeLessThan(5000);
    const alone = await refusal(service.url, { replicaSet: "rs0" }, 10_000);
    expect(alone.error.code).toBe("INVALID_ENDPOINT");
    expect(alone.error.message).toContain("leave replicaSet out");
    expect(alone.ms).toBeLessThan(5000);
  });
});
