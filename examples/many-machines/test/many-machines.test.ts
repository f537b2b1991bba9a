import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, expect, it } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-machines-"));
const source = join(import.meta.dirname, "..", "src");

describeWithService("redis", "a transfer by workers", ({ url }) => {
  const server = url.replace(/\/\d*$/, "");
  const env = { ...process.env, QUEUE_URL: `${server}/9`, CACHE_URL: `${server}/0?prefix=machines-${process.pid}:` };
  const workers: ChildProcess[] = [];
  afterAll(async () => {
    for (const worker of workers) {
      const ended = once(worker, "exit");
      worker.kill("SIGTERM");
      await ended;
    }
    rmSync(folder, { recursive: true, force: true });
  });

  it("moves every record once, and both sides agree", async () => {
    for (let number = 0; number < 2; number++) {
      const worker = spawn(process.execPath, [join(source, "worker.ts")], { cwd: folder, env });
      workers.push(worker);
      await once(worker.stdout!, "data");
    }
    const { stdout } = await promisify(execFile)(process.execPath, [join(source, "main.ts")], { cwd: folder, env });
    expect(stdout).toMatch(/^20000 records in \d+ partitions$/m);
    expect(stdout).toContain("Source and target agree");
  });
});
