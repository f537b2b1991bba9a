import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Project, type RunningCommand, sampleRecords } from "./project.ts";

describeWithService("redis", "the command line with workers", ({ url }) => {
  const database = new URL(url);
  database.pathname = "/7";
  const redis = ["--redis", database.href];
  let project: Project;
  let worker: RunningCommand;
  beforeAll(async () => {
    project = new Project(["sqlite", "lines"]);
    project.fill("a.ndjson", sampleRecords(500));
    expect(await project.run(["copy", "lines:a.ndjson", "sqlite:a.db?table=docs"])).toMatchObject({ code: 0 });
    const endpoints = { from: "sqlite:a.db?table=docs", to: "sqlite:b.db?table=docs" };
    project.write("p2p.config.json", JSON.stringify({ endpoints }));
    worker = project.start(["worker", "--name", "one", ...redis]);
    await worker.seen(/one is ready for from, to/);
  });
  afterAll(async () => {
    worker.child.kill("SIGTERM");
    await worker.ended;
    const { Redis } = await import("ioredis");
    const client = new Redis(database.href);
    await client.flushdb();
    await client.quit();
    project[Symbol.dispose]();
  });

  it("copies by workers with one progress, and lists what they did", async () => {
    const run = await project.run([
      "copy",
      "from",
      "to",
      "--distributed",
      "--transfer-id",
      "big",
      "--verify",
      ...redis,
    ]);
    expect(run.stderr).toContain("distributed: from → to (transfer big)");
    expect(run.stdout).toMatch(/500 records written in .* partitions/);
    expect(run.stdout).toContain("Verified (full): 500 records");
    expect(run.code).toBe(0);
    expect(await project.run(["count", "to"])).toMatchObject({ stdout: "500\n" });
    const list = await project.run(["transfers", ...redis]);
    expect(list.stdout).toMatch(/big +completed +from → to +500 of 500/);
    const parts = await project.run(["transfers", "list", "big", "--json", ...redis]);
    expect(JSON.parse(parts.stdout.split("\n")[0]!)).toMatchObject({
      event: "partition",
      state: "done",
      worker: "one",
    });
    const again = await project.run(["copy", "from", "to", "--distributed", "--transfer-id", "big", ...redis]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('There is a distributed transfer "big" already');
    expect(await project.run(["transfers", "remove", "big", ...redis])).toMatchObject({ code: 0 });
    expect((await project.run(["transfers", ...redis])).stderr).toContain("There are no distributed transfers");
  });

  it("tells of a mistyped field, and in --json", async () => {
    const words = ["copy", "from", "to", "--distributed", "--where", "titel=x", ...redis];
    const run = await project.run(words);
    expect(run).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/"titel", which where of .*did you mean "title"/),
    });
    const json = await project.run([...words, "--json"]);
    const last = JSON.parse(json.stdout.trim().split("\n").at(-1)!);
    expect(last).toMatchObject({ event: "result", notes: [expect.stringContaining('"titel"')] });
  });

  it("takes names alone, so that no password is in a job", async () => {
    const run = await project.run(["copy", "sqlite:a.db?table=docs", "to", "--distributed", ...redis]);
    expect(run.code).toBe(2);
    expect(run.stderr).toContain("The source must be a name with --distributed");
  });

  it("copies in parts side by side in this process", async () => {
    const run = await project.run(["copy", "from", "sqlite:c.db?table=docs", "--partitions", "4"]);
    expect(run).toMatchObject({ code: 0 });
    expect(run.stdout).toContain("500 records written");
    const whole = await project.run(["copy", "from", "sqlite:d.db?table=docs", "--partitions", "4", "--limit", "10"]);
    expect(whole.stderr).toContain("It ran as one part");
  });

  it("needs the id for what is done to one transfer", async () => {
    expect(await project.run(["transfers", "pause", ...redis])).toMatchObject({ code: 2 });
    const run = await project.run(["transfers", "pause", "nobody", ...redis]);
    expect(run.code).toBe(1);
    expect(run.stderr).toContain('There is no distributed transfer "nobody"');
  });
});
