import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { events, Project } from "./project.ts";

const SOURCE = "sqlite:a.db?table=films";
const TARGET = "lines:out.ndjson";

let project: Project;
beforeEach(() => {
  project = new Project(["sqlite", "lines"]);
  project.sql(
    "a.db",
    `CREATE TABLE films (id INTEGER PRIMARY KEY, released TEXT, depends TEXT, price TEXT, seen TEXT);
     INSERT INTO films VALUES
       (1, '2024-01-31', '{"a": [1, NaN]}', '19.5', '2024-01-31 08:15:00'),
       (2, '2024-02-30', '[]', '9007199254740993', 'never'),
       (3, NULL, NULL, NULL, NULL)`,
  );
});
afterEach(() => project[Symbol.dispose]());

const TYPES = ["--as", "released=date,depends=json,price=number", "--recognise"];
const count = async (place: string) => Number((await project.run(["count", place])).stdout.match(/\d+/)?.[0]);

describe("types that people mean", () => {
  it("are shown by a dry run before and after, with what would fail", async () => {
    const run = await project.run(["copy", SOURCE, "sqlite:b.db?table=films", ...TYPES, "--dry-run"]);
    expect(run.code).toBe(3);
    expect(run.stdout).toContain('released: "2024-01-31" → date 2024-01-31T00:00:00.000Z');
    expect(run.stdout).toContain('price: "19.5" → 19.5');
    expect(run.stdout).toContain('seen: "2024-01-31 08:15:00" → date 2024-01-31T08:15:00.000Z');
    expect(run.stdout).toMatch(/Would fail: 2: .*"released" cannot be made date, since "2024-02-30" is no date/);
    const [dry] = events(await project.run(["copy", SOURCE, TARGET, ...TYPES, "--dry-run", "--json"]));
    expect(dry).toMatchObject({
      event: "dry-run",
      converted: expect.arrayContaining([expect.objectContaining({ field: "price", after: "19.5" })]),
    });
  });

  it("go over, and what does not fit fails with the way to send it again, or is kept by choice", async () => {
    const target = "sqlite:b.db?table=films";
    const run = await project.run(["copy", SOURCE, target, ...TYPES, "--verify"]);
    expect(run.code).toBe(3);
    expect(run.stdout + run.stderr).toContain(
      "--phase transform --as released=date,depends=json,price=number --recognise",
    );
    expect(await count(target)).toBe(2);
    const kept = await project.run(["copy", SOURCE, target, ...TYPES, "--misfits", "keep", "--verify"]);
    expect(kept.code).toBe(0);
    expect(kept.stdout + kept.stderr).toMatch(/Values of "released" that do not fit/);
    expect(await count(target)).toBe(3);
    const again = await project.run(["verify", SOURCE, target, ...TYPES, "--misfits", "keep"]);
    expect(again.code).toBe(0);
    expect((await project.run(["verify", SOURCE, target])).code).toBe(4);
  });

  it("make no difference in a mirror that is told of them", async () => {
    const target = "sqlite:b.db?table=films";
    const told = ["--as", "released=date,id=text", "--misfits", "keep", "--rate-limit", "5000/s"];
    const first = await project.run(["mirror", SOURCE, target, ...told]);
    expect(first).toMatchObject({ code: 0 });
    expect((await project.run(["mirror", SOURCE, target, ...told])).stdout).toContain("0 records written, 0 deleted");
  });

  it("are refused where there is no such type, with the one that is near", async () => {
    const run = await project.run(["copy", SOURCE, TARGET, "--as", "released=dat"]);
    expect(run).toMatchObject({ code: 2 });
    expect(run.stderr).toMatch(/--as makes of "released" "dat", which is no type \(did you mean "date"\?\)/);
    expect(await project.run(["copy", SOURCE, TARGET, "--as", "released"])).toMatchObject({ code: 2 });
    expect(await project.run(["copy", SOURCE, TARGET, "--rate-limit", "fast"])).toMatchObject({ code: 2 });
  });
});
