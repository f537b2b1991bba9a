import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { alone } from "../src/lock.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-bench-"));
const file = join(folder, "lock");

afterAll(() => rmSync(folder, { recursive: true, force: true }));

// On other systems there is no flock(1), and nobody names a file for it.
describe.runIf(process.platform === "linux")("alone (where there is flock(1), on Linux)", () => {
  const isLocked = () => spawnSync("flock", ["-n", file, "true"]).status === 1;

  it("holds the lock for as long as the work takes, also when that fails", async () => {
    vi.stubEnv("P2P_BENCH_LOCK", file);
    expect(await alone(async () => isLocked())).toBe(true);
    expect(isLocked()).toBe(false);
    await expect(alone(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(isLocked()).toBe(false);
  });

  it("needs no lock when none is named", async () => {
    vi.stubEnv("P2P_BENCH_LOCK", "");
    expect(await alone(async () => isLocked())).toBe(false);
  });
});
