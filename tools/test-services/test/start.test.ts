import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { freePort } from "../src/free-port.ts";
import {
  isAvailable,
  ServiceUnavailableError,
  serviceKinds,
  startService,
  startServices,
  type TestService,
} from "../src/index.ts";

let running: TestService;
let emptyCache: string;
const log = vi.fn();

beforeAll(async () => {
  emptyCache = await mkdtemp(join(tmpdir(), "omni-p2p-empty-cache-"));
  running = await startService("redis", { password: "s3cret", log });
});

afterAll(async () => {
  await running.stop();
  await rm(emptyCache, { recursive: true });
});

beforeEach(() => {
  vi.stubEnv("CI", "");
  vi.stubEnv("P2P_REQUIRE_SERVICES", "");
  log.mockClear();
});

afterEach(() => vi.unstubAllEnvs());

/** No Docker, no package managers, nothing built yet: the machine of someone who can have none of the servers. */
function bareMachine(): void {
  vi.stubEnv("PATH", emptyCache);
  vi.stubEnv("JAVA_HOME", "");
  vi.stubEnv("P2P_TEST_CACHE", emptyCache);
  vi.stubEnv("DOCKER_HOST", `unix://${join(emptyCache, "no-docker.sock")}`);
  for (const kind of ["REDIS", "MONGODB", "ELASTICSEARCH", "POSTGRESQL"]) vi.stubEnv(`P2P_TEST_${kind}_URL`, "");
}

it("uses the server that the environment names, and leaves it running", async () => {
  vi.stubEnv("P2P_TEST_REDIS_URL", running.url);
  const service = await startService("redis", { log });
  expect(service).toMatchObject({ kind: "redis", how: "environment", product: "Redis", url: running.url });
  expect(service.version).toBe(running.version);
  expect(service.restart).toBeUndefined();
  expect(log.mock.calls).toEqual([[`redis: environment Redis ${running.version} on ${new URL(running.url).host}`]]);
  await service.stop();
  await expect(startService("redis", { log })).resolves.toMatchObject({ how: "environment" });
});

it("starts one of its own for a caller who must not share", async () => {
  vi.stubEnv("P2P_TEST_REDIS_URL", running.url);
  for (const options of [{ exclusive: true }, { password: "other" }, { args: ["--maxmemory", "4mb"] }]) {
    const service = await startService("redis", { log, ...options });
    expect(service.how).not.toBe("environment");
    expect(service.url).not.toBe(running.url);
    await service.stop();
  }
});

it("does not look further when the server that the environment names does not answer, and keeps its password secret", async () => {
  vi.stubEnv("P2P_TEST_REDIS_URL", `redis://:s3cret@127.0.0.1:${await freePort()}`);
  vi.stubEnv("P2P_TEST_MONGODB_URL", `mongodb://u:s3cret@127.0.0.1:${await freePort()}/?authSource=admin`);
  vi.stubEnv("P2P_TEST_ELASTICSEARCH_URL", `http://u:s3cret@127.0.0.1:${await freePort()}`);
  vi.stubEnv("P2P_TEST_POSTGRESQL_URL", `postgresql://u:s3cret@127.0.0.1:${await freePort()}/db?sslmode=disable`);
  const outcomes = await startServices(serviceKinds, { log });
  const reasons = outcomes.map((outcome) => (isAvailable(outcome) ? "" : outcome.unavailable));
  expect(reasons[0]).toMatch(/^P2P_TEST_REDIS_URL names redis:\/\/\*\*\*@127.*, which does not answer: .*ECONNREFUSED/);
  expect(reasons[1]).toMatch(/^P2P_TEST_MONGODB_URL names .*, which does not answer: .*ECONNREFUSED/);
  expect(reasons[2]).toMatch(/^P2P_TEST_ELASTICSEARCH_URL names .*, which does not answer: .*ECONNREFUSED/);
  expect(reasons[3]).toMatch(/^P2P_TEST_POSTGRESQL_URL names .*, which does not answer: .*ECONNREFUSED/);
  expect(JSON.stringify([reasons, log.mock.calls])).not.toContain("s3cret");
});

it("gives up soon on a server that accepts and never answers", async () => {
  const silent: Server = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const address = silent.address();
  const port = typeof address === "object" ? address?.port : 0;
  vi.stubEnv("P2P_TEST_REDIS_URL", `redis://127.0.0.1:${port}`);
  vi.stubEnv("P2P_TEST_MONGODB_URL", `mongodb://127.0.0.1:${port}`);
  vi.stubEnv("P2P_TEST_ELASTICSEARCH_URL", `http://127.0.0.1:${port}`);
  vi.stubEnv("P2P_TEST_POSTGRESQL_URL", `postgresql://u:s3cret@127.0.0.1:${port}/db`);
  const before = performance.now();
  const outcomes = await startServices(serviceKinds, { log });
  expect(performance.now() - before).toBeLessThan(20_000);
  expect(outcomes.filter(isAvailable)).toEqual([]);
  silent.close();
});

it("says why a machine cannot have them", async () => {
  bareMachine();
  const outcomes = await startServices(serviceKinds, { log });
  expect(outcomes).toEqual([
    { kind: "redis", unavailable: expect.stringMatching(/no native server: .*apt-get is not installed/) },
    { kind: "mongodb", unavailable: expect.stringMatching(/no native server: go is not installed/) },
    { kind: "elasticsearch", unavailable: expect.stringMatching(/no native server: (java|mvn) is not installed/) },
    { kind: "postgresql", unavailable: expect.stringMatching(/no native server: .*apt-get is not installed/) },
  ]);
  expect(log).toHaveBeenCalledWith(expect.stringMatching(/^mongodb: unavailable: /));
});

it.each([
  ["CI", "true"],
  ["P2P_REQUIRE_SERVICES", "1"],
])("fails where %s is set, and stops the ones that did start", async (name, value) => {
  bareMachine();
  vi.stubEnv(name, value);
  vi.stubEnv("P2P_TEST_REDIS_URL", running.url);
  const attempt = startServices(["redis", "mongodb"], { log });
  await expect(attempt).rejects.toThrow(ServiceUnavailableError);
  await expect(attempt).rejects.toThrow(/^mongodb is required and cannot be had: /);
});
