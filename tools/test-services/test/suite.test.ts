import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it, vi } from "vitest";
import { announce, announced } from "../src/announcement.ts";
import { setup } from "../src/vitest-global-setup.ts";

const names = ["URL", "PRODUCT", "VERSION", "UNAVAILABLE"].map((part) => `P2P_TEST_REDIS_${part}`);

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function noneAnnounced(): void {
  for (const name of names) vi.stubEnv(name, undefined);
}

it("carries a server's address from the main process to a suite, and takes it back", async () => {
  noneAnnounced();
  const withdraw = announce({
    kind: "redis",
    url: "redis://127.0.0.1:1",
    how: "native",
    product: "Redis",
    version: "7.0.15",
    stop: async () => {},
  });
  expect(announced("redis")).toEqual({ url: "redis://127.0.0.1:1", product: "Redis", version: "7.0.15" });
  withdraw();
  expect(names.map((name) => process.env[name])).toEqual([undefined, undefined, undefined, undefined]);
});

it("carries the reason why there is none", () => {
  noneAnnounced();
  expect(announced("redis")).toHaveProperty("unavailable", expect.stringContaining("P2P_TEST_REDIS_URL is not set"));
  const withdraw = announce({ kind: "redis", unavailable: "because" });
  expect(announced("redis")).toEqual({ kind: "redis", unavailable: "because" });
  withdraw();
});

it("starts what both the project and the environment name, and stops it again", async () => {
  noneAnnounced();
  vi.spyOn(console, "info").mockImplementation(() => {});
  vi.stubEnv("P2P_TEST_SERVICES", "redis elasticsearch");
  const teardown = await setup({ config: { env: { P2P_TEST_SERVICES: "redis,mongodb" } } });
  const service = announced("redis");
  expect(service).toMatchObject({ product: "Redis" });
  await teardown();
  expect(announced("redis")).toHaveProperty("unavailable");
});

it("refuses a kind that it does not know", async () => {
  vi.stubEnv("P2P_TEST_SERVICES", "redis cassandra");
  await expect(setup()).rejects.toThrow(`"cassandra", which is none of redis, mongodb, elasticsearch, postgresql`);
});

it.each([
  [
    "skips, with the reason printed, on a laptop",
    "",
    /skipped "reading": redis is not available: .*1 skipped.*exit 0$/s,
  ],
  ["fails in CI", "true", /"reading" must run, and redis is not available: .*exit 1$/s],
])("a suite without a server %s", async (_, CI, output) => {
  const vitest = fileURLToPath(new URL("vitest.mjs", import.meta.resolve("vitest/package.json")));
  const root = fileURLToPath(new URL("fixtures/without-server", import.meta.url));
  const env = { ...process.env, CI, P2P_REQUIRE_SERVICES: "", P2P_TEST_REDIS_URL: "", NO_COLOR: "1" };
  const printed = await new Promise<string>((resolve) => {
    execFile(process.execPath, [vitest, "run", "--root", root], { env }, (error, stdout, stderr) => {
      resolve(`${stdout}${stderr}exit ${error?.code ?? 0}`);
    });
  });
  expect(printed).toMatch(output);
});
