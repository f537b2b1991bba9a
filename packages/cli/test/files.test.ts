import { once } from "node:events";
import { openSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Project } from "./project.ts";

const COUNT = 3000;
const lines = (count: number): string =>
  Array.from({ length: count }, (_, id) => `${JSON.stringify({ id, title: `title ${id}`, n: id * 1.5 })}\n`).join("");

let project: Project;

beforeAll(() => {
  project = new Project(["memory", "sqlite", "file"]);
  project.write("in.ndjson", lines(COUNT));
});
afterAll(() => project[Symbol.dispose]());

test("a file goes into SQLite and back, and is the same byte by byte", async () => {
  expect(await project.run(["copy", "file:in.ndjson", "sqlite:a.db?table=t", "--verify"])).toMatchObject({ code: 0 });
  expect(await project.run(["copy", "sqlite:a.db?table=t", "file:out.ndjson", "--verify"])).toMatchObject({ code: 0 });
  expect(project.read("out.ndjson")).toBe(lines(COUNT));
  const again = await project.run(["copy", "sqlite:a.db?table=t", "file:out.ndjson"]);
  expect(again.code).not.toBe(0);
  expect(again.stderr).toMatch(/is there already.*ifExists=replace/);
});

test("stdout has the records alone, with reports and --json as well, and stdin is read", async () => {
  for (const more of [[], ["--json"]]) {
    const { child, ended } = project.start(["copy", "file:-?format=ndjson", "file:-?format=ndjson", ...more]);
    child.stdin!.end(lines(5));
    const { code, stdout, stderr } = await ended;
    expect([code, stdout]).toEqual([0, lines(5)]);
    expect(stderr).toMatch(more.length > 0 ? /"event":"result"/ : /5 records written/);
  }
});

test("a reader of stdout that goes away ends the command in silence", async () => {
  project.write("large.ndjson", lines(200_000));
  const { child, ended } = project.start(["copy", "file:large.ndjson", "file:-?format=ndjson", "--quiet"]);
  await once(child.stdout!, "data");
  child.stdout!.destroy();
  const { code, stderr } = await ended;
  expect([code, stderr]).toEqual([141, ""]);
});

test("what was written to stdout is not gone on with, and nobody is told that it could be", async () => {
  const words = ["copy", "file:in.ndjson", "file:-?format=ndjson", "--batch-size", "100", "--transfer-id", "piped"];
  const { child, ended, seen } = project.start([...words, "--rate-limit", "1000/s"]);
  await seen(/"id":500,/);
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  expect(code).toBe(130);
  expect(stderr).toMatch(/Stopped after .*\n.*cannot be gone on with/);
  expect(stderr).not.toContain("--resume");
  const resumed = await project.run([...words, "--resume"]);
  expect([resumed.code, resumed.stdout]).toEqual([expect.any(Number), ""]);
  expect(resumed.code).not.toBe(0);
  expect(resumed.stderr).toMatch(/cannot be taken back or gone on with.*without --resume/s);
  const anew = await project.run(words);
  expect([anew.code, anew.stdout]).toEqual([0, lines(COUNT)]);
  expect(anew.stderr).not.toContain("would have gone on");
});

test("what is written to a pipe is not verified, and nothing is written before that is said", async () => {
  for (const target of ["file:-?format=ndjson", "file:/dev/null?format=ndjson"]) {
    const { code, stdout, stderr } = await project.run(["copy", "file:in.ndjson", target, "--verify"]);
    expect([code === 0, stdout]).toEqual([false, ""]);
    expect(stderr).toMatch(/cannot be read back.*leave out --verify/s);
  }
});

test("a full disk is told as such", async () => {
  const { code, stderr } = await project.run(["copy", "file:in.ndjson", "file:/dev/full?format=ndjson"]);
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/the disk is full/);
});

test("a full disk behind stdout is told as such, and is no reader that went away", async () => {
  const copy = ["copy", "file:in.ndjson", "file:-?format=ndjson"];
  const stdio = () => ["ignore", openSync("/dev/full", "w"), "pipe"] as const;
  const { code, stderr } = await project.start(copy, {}, { stdio: [...stdio()] }).ended;
  expect(code).toBe(1);
  expect(stderr).toMatch(/omni-p2p: .*the disk is full/);
  expect(stderr).not.toMatch(/stdout could not be written/);
  const { stderr: told } = await project.start([...copy, "--json"], {}, { stdio: [...stdio()] }).ended;
  expect(told).toMatch(/"event":"error","code":"STORAGE_FULL"/);
  expect(told).not.toMatch(/UNWRITTEN/);
});

test("count, inspect and a dry run look at files, and write nothing", async () => {
  expect((await project.run(["count", "file:in.ndjson", "--where", "id<10"])).stdout).toBe("10\n");
  expect((await project.run(["inspect", "file:in.ndjson"])).stdout).toMatch(/title {2,}string/);
  expect((await project.run(["inspect", "file:."])).stdout).toContain("in.ndjson");
  const dry = await project.run(["copy", "file:in.ndjson", "file:new.json.gz", "--dry-run"]);
  expect([dry.code, dry.stdout]).toEqual([0, expect.stringMatching(/title +string +json +yes/)]);
  expect(() => project.read("new.json.gz")).toThrow("ENOENT");
});

test("a path in place of an endpoint is told how to be written, and completion knows files", async () => {
  expect((await project.run(["copy", "in.ndjson", "memory:x"])).stderr).toContain("write file:in.ndjson");
  expect((await project.run(["complete", "--", "copy", "file:in"])).stdout).toContain("file:in.ndjson");
});

test.each([
  ["look records up by their ids", ["mirror", "file:in.ndjson", "sqlite:m.db?table=t"]],
  ["replace or delete", ["mirror", "sqlite:a.db?table=t", "file:m.ndjson"]],
  ["replace or delete", ["mirror", "sqlite:a.db?table=t", "file:m.ndjson", "--deletes", "keep"]],
  ["look records up by their ids", ["follow", "file:in.ndjson", "sqlite:m.db?table=t"]],
  ["replace or delete", ["follow", "sqlite:a.db?table=t", "file:m.ndjson", "--deletes", "keep"]],
])("a file that is no source or target of a mirror says so: it cannot %s (%j)", async (what, args) => {
  const { code, stderr } = await project.run(args);
  expect(code).not.toBe(0);
  expect(stderr).toContain(`cannot ${what}`);
  expect(stderr).toMatch(/a file is read and written from its beginning to its end.*load it into a store first/);
  expect(stderr).not.toMatch(/[Uu]pgrade/);
});

test("dead letters go to a path, and not to an endpoint that is written in one go", async () => {
  const letters = await project.run([
    "copy",
    "file:in.ndjson",
    "file:n.ndjson",
    "--dead-letter",
    "file:letters.ndjson",
  ]);
  expect(letters.code).not.toBe(0);
  expect(letters.stderr).toMatch(/written in one go; give the path of a file/);
});
