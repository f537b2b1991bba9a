import { Redis } from "ioredis";
import { afterEach, expect, it } from "vitest";
import { type RedisServiceOptions, startService, type TestService } from "../src/index.ts";
import { untilGone } from "./processes.ts";

let service: TestService | undefined;
const lines: string[] = [];

afterEach(async () => {
  await service?.stop();
  lines.length = 0;
});

async function start(options: RedisServiceOptions = {}): Promise<TestService> {
  service = await startService("redis", { exclusive: true, log: (line) => lines.push(line), ...options });
  return service;
}

async function ask<Answer>(url: string, question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const redis = new Redis(url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on("error", () => {});
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

it("starts, says what it is, answers, and is gone after stop", async () => {
  const { url, pid, product, version, how } = await start();
  expect(product).toBe("Redis");
  expect(lines.at(-1)).toBe(`redis: ${how} Redis ${version} on ${new URL(url).host}`);
  expect(await ask(url, (redis) => redis.set("a", "1"))).toBe("OK");
  await service?.stop();
  await service?.stop();
  if (pid !== undefined) await untilGone([pid], 0);
  await expect(ask(url, (redis) => redis.get("a"))).rejects.toThrow();
});

it("comes back on the same port with its data after a crash, when it is persistent", async () => {
  const { url, pid, restart } = await start({ persistent: true });
  await ask(url, (redis) => redis.set("a", "kept"));
  await restart?.(async () => {
    await expect(ask(url, (redis) => redis.get("a"))).rejects.toThrow();
  });
  expect(await ask(url, (redis) => redis.get("a"))).toBe("kept");
  if (pid !== undefined) {
    expect(service?.pid).not.toBe(pid);
    await untilGone([pid], 0);
  }
});

it("comes back empty when it is not", async () => {
  const { url, restart } = await start();
  await ask(url, (redis) => redis.set("a", "lost"));
  await restart?.();
  expect(await ask(url, (redis) => redis.dbsize())).toBe(0);
});

it("asks for the password, never prints it, and takes further arguments", async () => {
  const password = "s3cret/with@signs";
  const { url } = await start({ password, args: ["--maxmemory", "8mb"] });
  expect(await ask(url, (redis) => redis.config("GET", "maxmemory"))).toEqual(["maxmemory", String(8 * 1024 * 1024)]);
  const { host } = new URL(url);
  await expect(ask(`redis://${host}`, (redis) => redis.get("a"))).rejects.toThrow("NOAUTH");
  await expect(ask(`redis://:wrong@${host}`, (redis) => redis.get("a"))).rejects.toThrow();
  expect(lines.join("\n")).not.toContain("s3cret");
});

it("says in one sentence why it did not start", async () => {
  await expect(start({ args: ["--maxmemory", "nonsense"] })).rejects.toThrow(/redis.*ended with code 1.*nonsense/s);
});
