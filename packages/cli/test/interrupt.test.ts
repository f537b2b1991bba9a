import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { events, Project, sampleRecords } from "./project.ts";

describe("interruption", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(2000));
  });
  afterAll(() => project[Symbol.dispose]());

  const slow = (name: string) => [
    "copy",
    "lines:a.ndjson",
    `lines:${name}?delay=40`,
    "--batch-size",
    "50",
    "--concurrency",
    "1",
    "--progress-interval",
    "1",
  ];

  it("stops cleanly at Ctrl-C with the command that resumes, which completes the copy", async () => {
    const args = slow("one.ndjson");
    const command = project.start(args);
    await command.seen(/\d+ of 2,000 records/);
    command.child.kill("SIGINT");
    const run = await command.ended;
    expect(run.code).toBe(130);
    expect(run.stderr).toContain("Ctrl-C again stops at once");
    expect(run.stdout).toMatch(/^Stopped after [\d,]+ records; [\d,]+ written\.\n$/);
    const resume = /Go on with: omni-p2p (.*)\n/.exec(run.stderr);
    expect(resume?.[1]).toBe(`${args.map((word) => (word.includes("?") ? `'${word}'` : word)).join(" ")} --resume`);
    const done = Number(/Stopped after ([\d,]+)/.exec(run.stdout)![1]!.replace(",", ""));
    expect(done).toBeGreaterThan(0);
    expect(done).toBeLessThan(2000);

    const resumed = await project.run([...args, "--resume", "--verify"]);
    expect(resumed.code).toBe(0);
    expect(resumed.stderr).toMatch(/Going on after [\d,]+ records\./);
    expect(resumed.stdout).toMatch(/^2,000 records written, [\d,]+ of them now in [\d.]+ m?s \([\d,]+\/s\)\n/);
    expect(resumed.stdout).toContain("Verified: both sides hold the same 2,000 records");

    const once = await project.run([...args, "--resume"]);
    expect(once.code).toBe(0);
    expect(once.stderr).toContain("was completed before");
    expect(once.stdout).toBe("2,000 records written by the earlier run\n");
  });

  it("says that an earlier run can be resumed", async () => {
    const args = slow("hint.ndjson");
    const first = project.start(args);
    await first.seen(/\d+ of 2,000 records/);
    first.child.kill("SIGTERM");
    expect(await first.ended).toMatchObject({ code: 143 });
    const second = project.start(args);
    await second.seen(/An earlier run stopped after [\d,]+ records; with --resume this one would have gone on/);
    second.child.kill("SIGTERM");
    expect(await second.ended).toMatchObject({ code: 143 });
  });

  it("tells of it in JSON", async () => {
    const command = project.start([...slow("json.ndjson"), "--json"]);
    await command.seen(/"event":"progress"/);
    command.child.kill("SIGINT");
    const run = await command.ended;
    expect(run.code).toBe(130);
    const result = events(run).at(-1);
    expect(result).toMatchObject({ event: "result", status: "interrupted" });
    expect(result!.resume).toMatch(/^omni-p2p copy .* --json --resume$/);
  });

  it("stops at once at the second Ctrl-C", async () => {
    const command = project.start(["copy", "lines:a.ndjson", "lines:two.ndjson?delay=60000", "--batch-size", "50"]);
    await command.seen(/^copy: /);
    command.child.kill("SIGINT");
    await command.seen(/Stopping/);
    const startedAt = performance.now();
    command.child.kill("SIGINT");
    expect(await command.ended).toMatchObject({ code: 130 });
    expect(performance.now() - startedAt).toBeLessThan(1500);
  });

  it("stops while a store is being opened", async () => {
    for (const args of [
      ["copy", "lines:a.ndjson?hang=true", "lines:three.ndjson", "--connection-timeout", "60s"],
      ["ping", "lines:a.ndjson?hang=true", "--connection-timeout", "60s"],
    ]) {
      const command = project.start(args);
      await new Promise((resolve) => setTimeout(resolve, 700));
      command.child.kill("SIGINT");
      expect(await command.ended, args[0]).toMatchObject({ code: 130, stdout: "" });
    }
  });

  it("refuses to resume with another transform", async () => {
    project.write("map.ts", "export default (record) => record;");
    const args = [...slow("four.ndjson"), "--transform", "./map.ts"];
    const command = project.start(args);
    await command.seen(/\d+ of 2,000 records/);
    command.child.kill("SIGINT");
    await command.ended;
    project.write("map.ts", "export default (record) => ({ ...record, more: true });");
    const resumed = await project.run([...args, "--resume"]);
    expect(resumed.code).toBe(1);
    expect(resumed.stderr).toContain("cannot be resumed, since this changed: transform");
    expect(resumed.stderr).toContain("Next: the same command without --resume");
  });

  it("refuses to run the same transfer twice at a time", async () => {
    const args = slow("five.ndjson");
    const command = project.start(args);
    await command.seen(/\d+ of 2,000 records/);
    const second = await project.run(args);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("give this one another --transfer-id");
    command.child.kill("SIGINT");
    await command.ended;
  });
});

describe("a reader that goes away", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
    project.fill("a.ndjson", sampleRecords(2000));
  });
  afterAll(() => project[Symbol.dispose]());

  it("does not end a copy, and prints no error", async () => {
    const command = project.start([
      ...["copy", "lines:a.ndjson", "lines:b.ndjson?delay=10", "--json", "--progress-interval", "0"],
      ...["--batch-size", "50"],
    ]);
    await command.seen(/"event":"progress"/);
    command.child.stdout!.destroy();
    expect(await command.ended).toMatchObject({ code: 0, stderr: "" });
    const counted = await project.run(["count", "lines:b.ndjson"]);
    expect(counted.stdout).toBe("2000\n");
  });

  it("ends a command that only looks, with 141 and no error", async () => {
    const command = project.start(["inspect", "lines:a.ndjson", "--show", "2000", "--sample", "2000"]);
    command.child.stdout!.destroy();
    expect(await command.ended).toMatchObject({ code: 141, stderr: "" });
  });
});
