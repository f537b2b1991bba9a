import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSecretName, parseConfig, redactEndpoint } from "../../src/engine.ts";
import { isP2PError, parseEndpoint } from "../../src/index.ts";
import { decodeJson, MAX_DEPTH, parseQuery, recordTrouble } from "../../src/starter.ts";
import { hostile, PARSERS } from "../support/hostile.ts";

describe("hostile text", () => {
  it.each(PARSERS)("ends in a result or a P2PError: %s", (_, parse) => {
    fc.assert(
      fc.property(hostile, (text) => {
        try {
          parse(text);
        } catch (error) {
          if (!isP2PError(error)) throw error;
          expect(error.message.length).toBeLessThan(3000 + text.length);
        }
      }),
      { seed: 14, numRuns: 500 },
    );
  });

  it.each([
    ["a URL beyond its limit", () => parseEndpoint(`sqlite:${"a".repeat(70_000)}`)],
    ["a bigint beyond its limit", () => decodeJson(`{"$p2p":"bigint","value":"${"9".repeat(3_000_000)}"}`)],
    ["JSON nested too deep", () => decodeJson(`${"[".repeat(50_000)}${"]".repeat(50_000)}`)],
    ["names with escapes nested too deep", () => decodeJson(`${'{"\\n":'.repeat(50_000)}1${"}".repeat(50_000)}`)],
    ["a setting's name of 1 MB", () => parseConfig({ ["a".repeat(1_000_000)]: 1 } as object)],
    ["a query's key of 1 MB", () => parseQuery({ ["a".repeat(1_000_000)]: 1 } as object)],
  ])("is refused in few words: %s", (_, parse) => {
    const error = (() => {
      try {
        return parse();
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(isP2PError(error)).toBe(true);
    expect((error as Error).message.length).toBeLessThan(1000);
  });

  it("a record's bigints and depth have bounds that reading keeps to", () => {
    const longest = 10n ** 20_000n - 1n;
    for (const n of [longest, -longest]) {
      expect(recordTrouble({ id: 1, n })).toBeUndefined();
      expect(decodeJson(JSON.stringify({ $p2p: "bigint", value: String(n) }))).toBe(n);
    }
    expect(recordTrouble({ id: 1, n: longest + 1n })).toBe("record.n is a bigint of more than 20000 digits");
    expect(() => decodeJson("[".repeat(MAX_DEPTH) + "]".repeat(MAX_DEPTH))).not.toThrow();
  });
});

describe("secrets in odd places", () => {
  it.each([
    "redis://user:pa?ss@host/0",
    "redis://user:12?ss@host",
    "redis://user:12?a=ss@host",
    "redis://user:pa/ss@host",
    "redis://user:pa/ss?x@host",
    "mongodb://user:p@?ss:w@host/db",
  ])("a password that is not escaped is in no message: %s", (url) => {
    let message = "";
    try {
      parseEndpoint(url);
    } catch (error) {
      message = (error as Error).message;
      expect(isP2PError(error, "INVALID_ENDPOINT")).toBe(true);
    }
    expect(message).not.toContain("ss@");
    expect(message).not.toMatch(/\bss\b/);
  });

  it("a user's name with an @ may stand in an option", () => {
    expect(parseEndpoint("redis://host/0?username=me@corp").metadata).toEqual({ username: "me@corp" });
  });

  it.each([
    "sentinelUsername",
    "proxyUsername",
    "proxy_user_name",
    "passwrod",
    "pasword",
    "tokn",
    "usrename",
    "Secrte",
  ])("is redacted: %s", (name) => {
    expect(isSecretName(name)).toBe(true);
    const endpoint = parseEndpoint({ storageType: "redis", metadata: { [name]: "hunter2" } });
    expect(JSON.stringify(redactEndpoint(endpoint))).not.toContain("hunter2");
  });

  it.each(["table", "prefix", "format", "hosts", "protocol", "collection", "ttl", "index"])("is not: %s", (name) => {
    expect(isSecretName(name)).toBe(false);
  });
});
