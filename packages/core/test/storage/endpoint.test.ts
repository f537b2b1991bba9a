import { describe, expect, it } from "vitest";
import { type EndpointInfo, type EndpointInput, isP2PError, parseEndpoint } from "../../src/index.ts";
import { endpointLabel } from "../../src/starter.ts";

const SECRET = "s3cr3t-w0rd";

function failure(input: unknown): Error {
  try {
    parseEndpoint(input as EndpointInput);
  } catch (error) {
    expect(isP2PError(error, "INVALID_ENDPOINT"), String(error)).toBe(true);
    return error as Error;
  }
  throw new Error("it was accepted");
}

describe("an endpoint as a URL", () => {
  it.each<[string, Omit<EndpointInfo, "endpointId">]>([
    [
      "sqlite:./data/knowledge.db?table=docs",
      { storageType: "sqlite", database: "./data/knowledge.db", metadata: { table: "docs" } },
    ],
    ["sqlite:/abs/knowledge.db", { storageType: "sqlite", database: "/abs/knowledge.db" }],
    ["sqlite:./a%20b%3Fc.db", { storageType: "sqlite", database: "./a b?c.db" }],
    ["sqlite::memory:", { storageType: "sqlite", database: ":memory:" }],
    ["memory:scratch", { storageType: "memory", database: "scratch" }],
    ["memory:", { storageType: "memory" }],
    ["  memory:scratch\n", { storageType: "memory", database: "scratch" }],
    [
      "elasticsearch://localhost:9200/knowledge",
      { storageType: "elasticsearch", host: "localhost", port: 9200, database: "knowledge" },
    ],
    [
      "elasticsearch+https://es.example/knowledge/",
      { storageType: "elasticsearch", host: "es.example", database: "knowledge", metadata: { protocol: "https" } },
    ],
    ["redis://localhost", { storageType: "redis", host: "localhost" }],
    ["redis://localhost:6379/3", { storageType: "redis", host: "localhost", port: 6379, database: "3" }],
    ["redis://localhost:/3", { storageType: "redis", host: "localhost", database: "3" }],
    [
      "postgres://u:p%40@db.example:5433/shop?table=public.docs",
      {
        storageType: "postgresql",
        host: "db.example",
        port: 5433,
        database: "shop",
        metadata: { username: "u", password: "p@", table: "public.docs" },
      },
    ],
    ["POSTGRES:///shop", { storageType: "postgresql", database: "shop" }],
    [
      "postgresql://h1:5432,h2:5433/shop",
      { storageType: "postgresql", host: "h1", port: 5432, database: "shop", metadata: { hosts: "h1:5432,h2:5433" } },
    ],
    ["rediss://cache:6380", { storageType: "redis", host: "cache", port: 6380, metadata: { protocol: "tls" } }],
    ["REDIS://Localhost", { storageType: "redis", host: "Localhost" }],
    ["redis://:pw@h", { storageType: "redis", host: "h", metadata: { password: "pw" } }],
    ["redis://u@h", { storageType: "redis", host: "h", metadata: { username: "u" } }],
    [
      "redis://u%40x:p%3A%2F%25@h:1/0?prefix=a%26b",
      {
        storageType: "redis",
        host: "h",
        port: 1,
        database: "0",
        metadata: { prefix: "a&b", username: "u@x", password: "p:/%" },
      },
    ],
    ["redis://u:p@ss:w@h", { storageType: "redis", host: "h", metadata: { username: "u", password: "p@ss:w" } }],
    ["redis://[::1]:6379/0", { storageType: "redis", host: "::1", port: 6379, database: "0" }],
    ["redis://[fe80::1]", { storageType: "redis", host: "fe80::1" }],
    [
      "mongodb://localhost:27017/kb?collection=docs",
      { storageType: "mongodb", host: "localhost", port: 27017, database: "kb", metadata: { collection: "docs" } },
    ],
    [
      "mongodb+srv://u:p@cluster.example/kb",
      {
        storageType: "mongodb",
        host: "cluster.example",
        database: "kb",
        metadata: { protocol: "srv", username: "u", password: "p" },
      },
    ],
    [
      "mongodb://h1:1,h2:2,[::1]:3/kb",
      { storageType: "mongodb", host: "h1", port: 1, database: "kb", metadata: { hosts: "h1:1,h2:2,[::1]:3" } },
    ],
    ["acme-store://h", { storageType: "acme-store", host: "h" }],
    ["memory:x?a=1&b=x+y%2Bz&c", { storageType: "memory", database: "x", metadata: { a: "1", b: "x y+z", c: "" } }],
    ["memory:x?constructor=1", { storageType: "memory", database: "x", metadata: { constructor: "1" } }],
  ])("%s", (url, expected) => {
    const { endpointId, ...endpoint } = parseEndpoint(url);
    expect(endpoint).toEqual(expected);
    expect(endpointId).toBe(endpointLabel(expected));
  });

  it("may carry the endpoint's own name", () => {
    expect(parseEndpoint("redis://h?endpointId=cache")).toEqual({
      endpointId: "cache",
      storageType: "redis",
      host: "h",
    });
  });

  it("may be a URL object", () => {
    expect(parseEndpoint(new URL("redis://u:p%40@h:6379/1"))).toEqual(parseEndpoint("redis://u:p%40@h:6379/1"));
    expect(parseEndpoint(new URL("sqlite:./a.db?table=t"))).toEqual(parseEndpoint("sqlite:./a.db?table=t"));
  });

  it("keeps __proto__ as an option like any other", () => {
    expect(Object.keys(parseEndpoint("memory:x?__proto__=1").metadata!)).toEqual(["__proto__"]);
  });

  it.each([
    ["no scheme", "localhost"],
    ["nothing", ""],
    ["a path", "./data.db"],
    ["a port of letters", "redis://h:port"],
    ["port 0", "redis://h:0"],
    ["a port above 65535", "redis://h:65536"],
    ["a negative port", "redis://h:-1"],
    ["half a port", "redis://h:80.5"],
    ["a hexadecimal port", "redis://h:0x50"],
    ["a port in scientific notation", "redis://h:8e1"],
    ["an IPv6 address without brackets", "redis://::1"],
    ["text after the brackets", "redis://[::1]x"],
    ["a second host with a wrong port", "redis://h1:1,h2:99999"],
    ["an option given twice", "memory:x?a=1&a=2"],
    ["a broken escape in the path", "memory:%zz"],
    ["a broken escape in the user", "redis://%zz@h"],
  ])("is refused with %s", (_, url) => {
    expect(failure(url).message).toMatch(/^Invalid endpoint: /);
  });

  it.each([
    ["a port of letters", `redis://u:${SECRET}@h:port`],
    ["a broken escape", `redis://u:${SECRET}%zz@h`],
    ["a slash in the password", `redis://u:${SECRET}/x@h`],
    ["a slash in a password that starts like a port", `redis://u:12/${SECRET}@h`],
    ["a question mark in the password", `redis://u:${SECRET}?x@h`],
    ["a hash in the password", `redis://u:#${SECRET}/@h`],
    ["an option given twice", `redis://u:${SECRET}@h?a=1&a=2`],
    ["a wrong IPv6 address", `redis://u:${SECRET}@::1`],
  ])("is refused with %s, and the password is not repeated", (_, url) => {
    const error = failure(url);
    expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain(SECRET);
  });

  it("whose password holds a slash is explained", () => {
    expect(failure("redis://u:12/34@h").message).toMatch(/%2F/);
  });
});

describe("an endpoint as an object", () => {
  it("gets its name from its place", () => {
    expect(parseEndpoint({ storageType: "elasticsearch", host: "localhost", port: 9200, database: "kb" })).toEqual({
      endpointId: "elasticsearch://localhost:9200/kb",
      storageType: "elasticsearch",
      host: "localhost",
      port: 9200,
      database: "kb",
    });
    expect(
      parseEndpoint({ endpointId: "sqlite-local", storageType: "sqlite", database: "./data/knowledge.db" }).endpointId,
    ).toBe("sqlite-local");
  });

  it("does not share its metadata with the caller, and leaves out what is undefined", () => {
    const metadata = { a: 1 };
    const endpoint = parseEndpoint({ storageType: "x", metadata, host: undefined as never });
    metadata.a = 2;
    expect(endpoint).toEqual({ endpointId: "x:", storageType: "x", metadata: { a: 1 } });
    expect(Object.keys(endpoint)).not.toContain("host");
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /it is null/],
    ["a number", 5, /it is a number/],
    ["no type", {}, /storageType is missing/],
    ["an empty type", { storageType: "" }, /storageType is missing/],
    ["an unknown key", { storageType: "x", table: "t" }, /unknown key "table".*metadata/],
    ["a host that is no text", { storageType: "x", host: 1 }, /host must be a string/],
    ["a host with userinfo", { storageType: "x", host: `u:${SECRET}@h` }, /host must be a host's name/],
    ["a whole URL as host", { storageType: "x", host: `http://u:${SECRET}@h` }, /host must be a host's name/],
    ["a port as text", { storageType: "x", port: "80" }, /port must be a whole number/],
    ["a port that is NaN", { storageType: "x", port: Number.NaN }, /port must be a whole number/],
    ["a database that is no text", { storageType: "x", database: 0 }, /database must be a string/],
    ["metadata that is no object", { storageType: "x", metadata: "a=1" }, /metadata must be an object/],
    ["metadata that is a list", { storageType: "x", metadata: ["a"] }, /metadata must be an object/],
    ["null as metadata", { storageType: "x", metadata: null }, /metadata must be an object/],
    ["a name that is no text", { storageType: "x", endpointId: 5 }, /endpointId must be a string/],
  ])("is refused with %s", (_, input, message) => {
    const error = failure(input);
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain(SECRET);
  });
});

describe("the label of an endpoint", () => {
  it.each<[string, Omit<EndpointInfo, "endpointId">]>([
    ["sqlite:./a.db", { storageType: "sqlite", database: "./a.db", metadata: { password: SECRET } }],
    ["memory:", { storageType: "memory" }],
    ["redis://h", { storageType: "redis", host: "h" }],
    [
      "redis://h:1/0",
      { storageType: "redis", host: "h", port: 1, database: "0", metadata: { username: "u", password: SECRET } },
    ],
    ["redis://[::1]:1", { storageType: "redis", host: "::1", port: 1 }],
  ])("is %s", (label, endpoint) => {
    expect(endpointLabel(endpoint)).toBe(label);
  });
});
