import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cachedProduct, PREFIX } from "../src/cache.ts";

describeWithService("mongodb", "warming a cache", (mongodb) => {
  describeWithService("redis", "from MongoDB to Redis", (server) => {
    const database = `warm_up_${process.pid}`;
    // A database of its own: the prefix is the example's.
    const redisUrl = `${server.url.replace(/\/\d*$/, "")}/9`;
    let mongo: MongoClient;
    let redis: Redis;

    beforeAll(async () => {
      mongo = await MongoClient.connect(mongodb.url);
      const products = Array.from({ length: 1500 }, (_, i) => ({
        _id: `p-${i}` as never,
        name: `Product ${i}`,
        price: i + 0.5,
        sold: i,
        active: i % 3 !== 0,
        updated: new Date(i * 1000),
      }));
      await mongo.db(database).collection("products").insertMany(products);
      redis = new Redis(redisUrl);
    });
    afterAll(async () => {
      await mongo.db(database).dropDatabase();
      await mongo.close();
      const keys = await redis.keys(`${PREFIX}*`);
      if (keys.length > 0) await redis.del(...keys);
      redis.disconnect();
    });

    it("puts the best-sold active products into the cache, for an hour", async () => {
      const url = new URL(mongodb.url);
      url.pathname = `/${database}`;
      url.searchParams.set("collection", "products");
      const main = join(import.meta.dirname, "..", "src", "main.ts");
      const env = { ...process.env, MONGODB_URL: url.href, REDIS_URL: redisUrl };
      const { stdout } = await promisify(execFile)(process.execPath, [main], { env });
      expect(stdout).toMatch(/^1000 products in the cache after \d+ ms, 0 failed$/m);
      expect(await cachedProduct(redis, "p-1499")).toEqual({
        id: "p-1499",
        name: "Product 1499",
        price: 1499.5,
        updated: new Date(1_499_000),
      });
      expect(await cachedProduct(redis, "p-1497")).toBeUndefined();
      expect(await redis.exists(`${PREFIX}p-1`)).toBe(1);
      expect(await redis.ttl(`${PREFIX}p-1499`)).toBeGreaterThan(3500);
    });
  });
});
