import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { escapeGlob } from "../src/query/glob.ts";
import { parseRedisQuery } from "../src/query/query.ts";
import { calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace } from "./places.ts";

describe("what of a query is told to the server", () => {
  const request = (query: Parameters<typeof parseRedisQuery>[0], prefix = "p:") =>
    parseRedisQuery(query, { prefix }).request;

  it("the prefix, and the start of the id", () => {
    expect(request({}).pattern).toBe("p:*");
    expect(request({}, "").pattern).toBeUndefined();
    expect(request({ where: { id: { prefix: "a*" } } }).pattern).toBe("p:a\\**");
    expect(request({ where: { id: { prefix: "" } } }, "").pattern).toBeUndefined();
    expect(request({ native: { redis: { match: "a*" } } }, "[p]").pattern).toBe("\\[p\\]a*");
  });

  it("ids that are named, each once and in order", () => {
    expect(request({ where: { id: { in: ["b", 10, 9n, "10", null, ""] } } }).keys).toEqual(["p:10", "p:9", "p:b"]);
    expect(request({ where: { id: null } }).keys).toEqual([]);
    expect(request({ where: { id: "a" }, native: { redis: { match: "*" } } }).keys).toBeUndefined();
    expect(parseRedisQuery({ where: { id: "a" } }, { prefix: "" }).filtered).toBe(false);
    expect(parseRedisQuery({ where: { id: { in: ["a"], ne: "b" } } }, { prefix: "" }).filtered).toBe(true);
  });
});

describeWithService("redis", "prefixes that look like patterns", ({ url }) => {
  let client: Redis;
  beforeAll(() => {
    client = new Redis(url);
  });
  afterAll(() => client.quit());

  it("are nothing but text", async () => {
    const names = ["*", "?", "[a-z]", "[^b]", "\\", "\\*", "a?c", "]", "^", "-", "{a}", "é*", " ", "\n", "%00"];
    const place = makePlace(url);
    for (const name of names) {
      const service = await openAt(place.endpoint({ prefix: `${place.prefix}${name}:` }));
      await writeAll(service, [{ id: "1", name }]);
      await service.close();
    }
    for (const name of names) {
      const service = await openAt(place.endpoint({ prefix: `${place.prefix}${name}:` }), "source");
      expect((await readAll(service)).records).toEqual([{ id: "1", name }]);
      expect(await service.count({}, calm())).toBe(1);
      await service.close();
    }
    await place.dispose();
  });

  it("are escaped so that the server agrees", async () => {
    const place = makePlace(url);
    for (const text of ["a*b", "a?b", "a[b", "a]b", "a\\b", "a^b", "\\"]) {
      await client.set(place.prefix + text, "x");
      const [, found] = await client.scan(0, "MATCH", place.prefix + escapeGlob(text), "COUNT", 100_000_000);
      expect(found).toEqual([place.prefix + text]);
    }
    await place.dispose();
  });
});
