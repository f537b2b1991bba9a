import { describe, expect, it } from "vitest";
import { events, Project } from "./project.ts";

describe("changes", () => {
  it("are turned on, listed with what they hold back, and turned off", async () => {
    using project = new Project();
    project.sql("a.db", "CREATE TABLE docs (id INTEGER PRIMARY KEY); CREATE TABLE other (id)");
    const url = "sqlite:a.db?table=docs";
    const off = await project.run(["changes", "status", url]);
    expect(off).toMatchObject({ code: 0, stderr: "" });
    expect(off.stdout).toMatch(/changes are off\. .*omni-p2p changes enable 'sqlite:/);
    const on = await project.run(["changes", "enable", url]);
    expect(on.code).toBe(0);
    expect(on.stdout).toContain("changes are on.");
    expect(on.stderr).toContain("pay for it");
    const now = Date.now();
    project.sql(
      "a.db",
      `INSERT INTO p2p_followers VALUES (1, 'nightly', 1, ${now - 7_200_000}), (1, 'cache', 2, ${now}); INSERT INTO docs VALUES (1), (2)`,
    );
    const json = events(await project.run(["changes", "status", url, "--json"]));
    expect(json).toMatchObject([
      {
        event: "changes",
        endpoint: url,
        state: "on",
        kept: [
          { follower: "nightly", heldChanges: 2, trouble: expect.stringContaining("nothing was heard") },
          { follower: "cache", heldChanges: 1 },
        ],
      },
    ]);
    const one = await project.run(["changes", "disable", url, "--follower", "nightly"]);
    expect(one.stderr).toContain("Let go of nightly: 2 changes");
    expect(one.stdout).toMatch(/KEPT +FOLLOWER[\s\S]*cache +1 changes/);
    const all = await project.run(["changes", "disable", url]);
    expect(all.stdout).toContain("changes are off.");
    expect(all.stderr).toContain("Let go of cache");
  });

  it("that cannot be had say why", async () => {
    using project = new Project();
    project.sql("a.db", "CREATE TABLE bare (a); CREATE TABLE docs (id INTEGER PRIMARY KEY)");
    project.fill("b", []);
    const bare = await project.run(["changes", "enable", "sqlite:a.db?table=bare"]);
    expect(bare).toMatchObject({ code: 1, stderr: expect.stringContaining("PRIMARY KEY") });
    const lines = await project.run(["changes", "status", "lines:b", "--json"]);
    expect(events(lines)).toMatchObject([{ event: "error", code: "UNSUPPORTED_OPERATION" }]);
    const missing = await project.run(["changes", "enable", "sqlite:none.db?table=t"]);
    expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining("none.db") });
    expect((await project.run(["changes", "status", "sqlite:a.db", "--follower", "x"])).code).toBe(2);
    expect((await project.run(["changes", "mend", "sqlite:a.db"])).code).toBe(2);
    expect((await project.run(["changes", "status"])).code).toBe(2);
  });
});
