import { isP2PError, type P2PErrorCode, parseEndpoint, recordDigest } from "@omni/p2p-core/starter";
import { startService, type TestService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { redisStarter } from "../src/index.ts";
import { errorOf, openAt, readAll } from "./opening.ts";
import { closedPort, listen } from "./tcp.ts";

const USER = "planted-user";
const PASSWORD = "planted-s3cret";

describe("endpoints that are not valid", () => {
  const wrong: readonly (readonly [url: string, says: string])[] = [
    ["redis://localhost/docs", "database"],
    ["redis://localhost/0?format=xml", "format"],
    ["redis://localhost/0?ttl=0", "ttl"],
    ["redis://localhost/0?ttlField=id", "ttlField"],
    ["redis://localhost/0?scanCount=0", "scanCount"],
    ["redis://localhost/0?prefx=a", 'did you mean "prefix"'],
    ["redis://a:1,b:2", "sentinel=<name"],
    ["redis://a:1,b:2?cluster=true&sentinel=x", "not both"],
    ["redis://a?cluster=true&hosts=a:1,b:x", "hosts"],
    ["redis://localhost/1?cluster=true", "database 0"],
    ["rediss://localhost?tlsCaFile=/no/such/file", "tlsCaFile"],
  ];
  for (const [url, says] of wrong) {
    it(`${url} is refused, and the message names ${says}`, async () => {
      const error = await errorOf(openAt(url));
      expect(error.code).toBe("INVALID_ENDPOINT");
      expect(error.message).toContain(says);
    });
  }

  it("options of ioredis that this starter needs for itself are refused", async () => {
    const error = await errorOf(openAt("redis://localhost", "target", { redis: { keyPrefix: "a:" } }));
    expect(error.code).toBe("INVALID_ENDPOINT");
    expect(error.message).toContain("use prefix");
  });
});

describe("servers that are not there", () => {
  it("a port on which nobody listens", async () => {
    const error = await errorOf(openAt(`redis://${USER}:${PASSWORD}@127.0.0.1:${await closedPort()}`));
    expect(error).toMatchObject({ code: "CONNECTION_FAILED", retryable: true });
    expectNoSecrets(error);
  });

  it("a host that does not exist", async () => {
    const error = await errorOf(openAt("redis://no-such-host.invalid"));
    expect(error).toMatchObject({ code: "CONNECTION_FAILED" });
    expect(error.message).toContain("redis://no-such-host.invalid");
  });

  it("one that accepts and never answers fails at the timeout", async () => {
    for (const scheme of ["redis", "rediss"]) {
      for (const path of ["", "?cluster=true", "?sentinel=main"]) {
        const silent = await listen(() => {});
        const started = performance.now();
        const error = await errorOf(openAt(`${scheme}://127.0.0.1:${silent.port}${path}`, "source", {}, 400));
        expect(performance.now() - started).toBeLessThan(900);
        expect(["TIMEOUT", "CONNECTION_FAILED"]).toContain(error.code);
        expect(error.message).toContain("127.0.0.1");
        await silent.close();
      }
    }
  });

  it("one that hangs up", async () => {
    const rude = await listen((socket) => socket.destroy());
    const error = await errorOf(openAt(`redis://127.0.0.1:${rude.port}`));
    expect(error.code).toBe("CONNECTION_FAILED");
    await rude.close();
  });

  it("one that speaks another language", async () => {
    const web = await listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const error = await errorOf(openAt(`redis://127.0.0.1:${web.port}`));
    expect(error.code).toBe("CONNECTION_FAILED");
    await web.close();
  });
});

describeWithService("redis", "passwords, users and other conditions of a server", () => {
  let server: TestService;
  let host: string;
  let admin: Redis;

  beforeAll(async () => {
    server = await startService("redis", { exclusive: true, password: "right-s3cret" });
    host = new URL(server.url).host;
    admin = new Redis(server.url);
  });
  afterAll(async () => {
    await admin.quit();
    await server.stop();
  });

  it("the right password opens, in the URL and in the options", async () => {
    for (const open of [
      () => openAt(`redis://:right-s3cret@${host}`),
      () => openAt(`redis://default:right-s3cret@${host}/3`),
      () => openAt(`redis://${host}`, "target", { password: "right-s3cret" }),
      () => openAt(`redis://${host}`, "target", { redis: { password: "right-s3cret", protocol: 2 } }),
    ]) {
      await (await open()).close();
    }
  });

  const refused: readonly (readonly [what: string, url: string, code: P2PErrorCode])[] = [
    ["no password", "redis://HOST", "AUTHENTICATION_FAILED"],
    ["a wrong password", `redis://:${PASSWORD}@HOST`, "AUTHENTICATION_FAILED"],
    ["an unknown user", `redis://${USER}:${PASSWORD}@HOST`, "AUTHENTICATION_FAILED"],
    ["a database that does not exist", "redis://:right-s3cret@HOST/99", "INVALID_ENDPOINT"],
    // To the server the greeting of TLS is a command that does not end, so it waits for the rest.
    ["TLS on a plain port", "rediss://:right-s3cret@HOST", "CONNECTION_FAILED"],
    ["a cluster that is none", "redis://:right-s3cret@HOST?cluster=true", "INVALID_ENDPOINT"],
  ];
  for (const [what, url, code] of refused) {
    it(`${what}: ${code}`, async () => {
      const started = performance.now();
      const error = await errorOf(openAt(url.replace("HOST", host), "target", {}, 1000));
      expect(error.code, error.message).toBe(code);
      expect(error.message).toContain(host);
      expect(performance.now() - started).toBeLessThan(1900);
      if (url.startsWith("rediss:")) expect(error.message).toContain("does not speak TLS: write redis://");
      expectNoSecrets(error);
    });
  }

  it("a user without the right to a command or a key", async () => {
    await admin.call("acl", "setuser", USER, "on", `>${PASSWORD}`, "~ours:*", "+@all", "-mget", "-info");
    const service = await openAt(`redis://${USER}:${PASSWORD}@${host}?prefix=ours:`);
    const signal = new AbortController().signal;
    await service.writeToTarget([{ id: "a" }], { mode: "upsert", signal });
    const reading = async () => {
      for await (const _ of service.readFromSource({}, { batchSize: 10, signal }));
    };
    const read = await errorOf(reading());
    expect(read.code).toBe("READ_FAILED");
    expectNoSecrets(read);
    await service.close();

    const stranger = await openAt(`redis://${USER}:${PASSWORD}@${host}?prefix=theirs:`);
    const write = await errorOf(stranger.writeToTarget([{ id: "a" }], { mode: "upsert", signal }));
    expect(write).toMatchObject({ code: "TARGET_NOT_WRITABLE", retryable: false });
    expectNoSecrets(write);
    await stranger.close();
  });

  it("a user without the commands that are of use but not needed reads, writes and counts", async () => {
    const needless = ["dbsize", "info", "config", "client", "ping", "select", "type", "exists", "eval", "quit"];
    const rights = needless.map((name) => `-${name}`);
    await admin.call("acl", "setuser", "frugal", "on", ">frugal-s3cret", "~ours:*", "+@all", ...rights);
    const signal = new AbortController().signal;
    const service = await openAt(`redis://frugal:frugal-s3cret@${host}?prefix=ours:frugal:`);
    const records = Array.from({ length: 300 }, (_, n) => ({ id: String(n), n }));
    expect((await service.writeToTarget(records, { mode: "upsert", signal })).written).toBe(300);
    const query = { where: { id: { in: ["1", "2"] } } };
    expect((await readAll(service)).records).toHaveLength(300);
    expect((await readAll(service, query)).records).toHaveLength(2);
    expect((await readAll(service, { orderBy: "n", limit: 3 })).records.map(({ id }) => id)).toEqual(["0", "1", "2"]);
    expect(await service.count({}, signal)).toBe(300);
    expect(await service.count(query, signal)).toBeUndefined();
    await service.ping(signal);
    await service.close();
  });

  it("what a user lacks is named, and is no failed login", async () => {
    await admin.call("acl", "setuser", "narrow", "on", ">narrow-s3cret", "~ours:*", "+@all", "-select", "-scan");
    const select = await errorOf(openAt(`redis://narrow:narrow-s3cret@${host}/3?prefix=ours:`));
    expect(select.code).toBe("INVALID_ENDPOINT");
    expect(select.message).toContain("select");
    expect(select.message).toContain("database 0");
    const service = await openAt(`redis://narrow:narrow-s3cret@${host}?prefix=ours:`, "source");
    const scan = await errorOf(readAll(service));
    expect(scan.code).toBe("READ_FAILED");
    expect(scan.message).toContain("+scan");
    await service.close();
    const endpoint = parseEndpoint(`redis://narrow:narrow-s3cret@${host}?prefix=ours:`);
    const context = { role: "source", signal: new AbortController().signal, connectTimeoutMs: 5000 } as const;
    const { collections } = await redisStarter.inspect!(endpoint, context);
    expect(collections[0]).toMatchObject({ name: "ours:*", trouble: expect.stringContaining("+scan") });
  });

  it("a server that is full: STORAGE_FULL", async () => {
    await admin.config("SET", "maxmemory", "1");
    const service = await openAt(`redis://:right-s3cret@${host}`);
    for (const mode of ["upsert", "insert"] as const) {
      const writing = service.writeToTarget([{ id: "a" }, { id: "b" }], { mode, signal: new AbortController().signal });
      expect((await errorOf(writing)).code).toBe("STORAGE_FULL");
    }
    await service.close();
    const hashes = await openAt(`redis://:right-s3cret@${host}?format=hash`);
    const writing = hashes.writeToTarget([{ id: "a" }], { mode: "upsert", signal: new AbortController().signal });
    expect((await errorOf(writing)).code).toBe("STORAGE_FULL");
    await hashes.close();
    await admin.config("SET", "maxmemory", "0");
  });

  it("a server with too many clients: worth trying again", async () => {
    await admin.config("SET", "maxclients", "1");
    const error = await errorOf(openAt(`redis://:right-s3cret@${host}`));
    await admin.config("SET", "maxclients", "1000");
    // It says so and hangs up; what arrives first is a matter of luck.
    expect(["BUSY", "CONNECTION_FAILED"]).toContain(error.code);
    expect(error.retryable).toBe(true);
  });

  it("a replica is no target, but a source", async () => {
    const replica = await startService("redis", { exclusive: true });
    const control = new Redis(replica.url);
    await control.call("replicaof", "127.0.0.1", "1");
    expect((await errorOf(openAt(replica.url, "target"))).code).toBe("TARGET_NOT_WRITABLE");
    await (await openAt(replica.url, "source")).close();
    await control.quit();
    await replica.stop();
  });

  it("a server that is made a replica while it is written to: not writable, and worth trying again", async () => {
    const service = await openAt(`redis://:right-s3cret@${host}`);
    await admin.call("replicaof", "127.0.0.1", "1");
    const signal = new AbortController().signal;
    const error = await errorOf(service.writeToTarget([{ id: "a" }], { mode: "upsert", signal }));
    expect(error).toMatchObject({ code: "TARGET_NOT_WRITABLE", retryable: true });
    await admin.call("replicaof", "no", "one");
    // The client has taken the refusal for a reason to connect anew.
    await service.ping(signal).catch(() => {});
    expect((await service.writeToTarget([{ id: "a" }], { mode: "upsert", signal })).written).toBe(1);
    for (const ref of [{ id: "a" }, { id: "a", expected: recordDigest({ id: "a" }) }]) {
      await admin.call("replicaof", "127.0.0.1", "1");
      const refusal = await errorOf(service.deleteFromTarget!([ref], { signal }));
      expect(refusal).toMatchObject({ code: "TARGET_NOT_WRITABLE", retryable: true });
      await admin.call("replicaof", "no", "one");
      await service.ping(signal).catch(() => {});
      expect(await service.lookUp!([ref], {}, { signal })).toMatchObject([{ state: "wanted" }]);
    }
    const refs = [{ id: "a", expected: recordDigest({ id: "a" }) }];
    expect((await service.deleteFromTarget!(refs, { signal })).deleted).toBe(1);
    await service.close();
  });

  it("a record that is larger than the server takes is a failure, and the others are written", async () => {
    await admin.config("SET", "proto-max-bulk-len", "1mb");
    for (const format of ["json", "hash"]) {
      const service = await openAt(`redis://:right-s3cret@${host}?prefix=large:&format=${format}`);
      const records = [{ id: "a" }, { id: "b", body: "é".repeat(600_000) }, { id: "c", body: "x".repeat(900_000) }];
      const result = await service.writeToTarget(records, { mode: "upsert", signal: new AbortController().signal });
      expect(result.written).toBe(2);
      expect(result.failures).toMatchObject([
        { index: 1, id: "b", error: { code: "RECORD_TOO_LARGE", retryable: false } },
      ]);
      await service.close();
    }
    await admin.config("SET", "proto-max-bulk-len", "512mb");
  });

  it("a server that runs a script: BUSY, and worth trying again", async () => {
    await admin.config("SET", "busy-reply-threshold", "1");
    const service = await openAt(`redis://:right-s3cret@${host}`);
    const blocker = new Redis(server.url);
    const endless = blocker.call("eval", "while true do end", "0").catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
    const writing = service.writeToTarget([{ id: "a" }], { mode: "upsert", signal: new AbortController().signal });
    const error = await errorOf(writing);
    await admin.call("script", "kill");
    await endless;
    blocker.disconnect();
    expect(error).toMatchObject({ code: "BUSY", retryable: true });
    await service.close();
  });
});

function expectNoSecrets(error: unknown): void {
  expect(isP2PError(error)).toBe(true);
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) {
    const shown = `${inner.message}\n${inner.stack}\n${JSON.stringify(inner)}\n${JSON.stringify(Object.values(inner))}`;
    for (const secret of [USER, PASSWORD, "right-s3cret"]) expect(shown).not.toContain(secret);
  }
}
