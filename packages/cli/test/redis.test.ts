import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Project, sampleRecords } from "./project.ts";

describeWithService("redis", "the command line with a Redis server", ({ url }) => {
  const prefix = `cli-${process.pid}:`;
  const target = `${url}?prefix=${prefix}`;
  let project: Project;
  beforeAll(() => {
    project = new Project(["sqlite", "redis", "lines"]);
    project.fill("a.ndjson", sampleRecords(500));
  });
  afterAll(async () => {
    const { Redis } = await import("ioredis");
    const client = new Redis(url);
    const keys = await client.keys(`${prefix}*`);
    if (keys.length > 0) await client.del(keys);
    await client.quit();
    project[Symbol.dispose]();
  });

  it("copies SQLite to Redis in two commands, and verifies", async () => {
    expect(await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"])).toMatchObject({ code: 0 });
    const run = await project.run(["copy", "sqlite:a.db?table=docs", target, "--where", "type=knowledge", "--verify"]);
    expect(run.stderr).not.toContain("omni-p2p:");
    expect(run.code).toBe(0);
    expect(run.stdout).toContain("Verified: both sides hold the same 250 records");
    expect(await project.run(["count", target])).toMatchObject({ code: 0, stdout: "250\n" });
    expect(await project.run(["ping", target])).toMatchObject({ code: 0 });
    const inspected = await project.run(["inspect", target]);
    expect(inspected.code).toBe(0);
    expect(inspected.stdout).toMatch(/title .*string/);
  });

  it("says what is wrong with a host, a port or a password, without the password", async () => {
    const gone = await project.run(["ping", "redis://localhost:1", "--connection-timeout", "2s"]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain("redis://localhost:1");
    const wrong = new URL(url);
    wrong.username = "nobody";
    wrong.password = "not-the-password";
    const refused = await project.run(["copy", "sqlite:a.db?table=docs", wrong.href]);
    expect(refused.code).toBe(1);
    expect(refused.stderr).not.toContain("not-the-password");
    expect(refused.stderr).toContain("P2P_TARGET_PASSWORD");
  });
});
