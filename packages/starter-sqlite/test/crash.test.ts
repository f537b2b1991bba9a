import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isP2PError } from "@omni/p2p-core/starter";
import { describe, expect, test } from "vitest";
import { outputOf, runChild } from "./children.ts";
import { at, cleanUp, open, query, readAll, rejection, temporaryFolder, write } from "./support.ts";

const BATCH = 200;
const WRITER = `
  const write = async (database, records = 1e9, thread = "never") => {
    const target = await open({ storageType: "sqlite", database, metadata: { thread } }, "target");
    for (let from = 0; from < records; from += ${BATCH}) {
      const batch = Array.from({ length: ${BATCH} }, (_, i) => ({ id: from + i, body: "x".repeat(500), even: i % 2 === 0 }));
      await target.writeToTarget(batch, { mode: "upsert", signal });
      console.log(from + ${BATCH});
    }
    await target.close();
  };`;

describe("a process that is killed", () => {
  test.each(["never", "always"])("leaves whole batches, and a database that goes on; thread: %s", async (thread) => {
    const file = join(temporaryFolder(), "killed.db");
    for (const ms of [20, 60, 130]) {
      const child = runChild(`${WRITER} await write(${JSON.stringify(file)}, 1e9, "${thread}");`);
      let acknowledged = 0;
      child.stdout!.on("data", (chunk: Buffer) => {
        acknowledged = Number(chunk.toString().trim().split("\n").at(-1));
      });
      await new Promise((resolve) => child.stdout!.once("data", resolve));
      await delay(ms);
      child.kill("SIGKILL");
      await new Promise((resolve) => child.once("close", resolve));
      const target = await open(at(file), "target");
      await target.close();
      expect(query(file, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
      const [{ n, last }] = query(file, "SELECT count(*) AS n, max(id) AS last FROM records") as [
        { n: number; last: number },
      ];
      expect(n).toBe(last + 1);
      expect(n % BATCH).toBe(0);
      expect(n).toBeGreaterThanOrEqual(acknowledged);
    }
  });
});

test("a source whose writer was killed is read if it can be, and else says what to do", async () => {
  for (const mode of ["wal", "delete"]) {
    const file = join(temporaryFolder(), "hot.db");
    const program = `
      const { default: Database } = await import(${JSON.stringify(import.meta.resolve("better-sqlite3"))});
      const db = new Database(${JSON.stringify(file)});
      db.exec("PRAGMA journal_mode = ${mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, b); INSERT INTO t VALUES (1, 'a')");
      db.exec("PRAGMA cache_size = 10; BEGIN");
      const insert = db.prepare("INSERT INTO t VALUES (NULL, ?)");
      for (let i = 0; i < 5000; i++) insert.run("x".repeat(500));
      console.log("ready");
      process.kill(process.pid, "SIGKILL");`;
    await outputOf(runChild(program));
    const opening = open(at(file), "source");
    if (mode === "wal") expect((await readAll(await opening)).records).toEqual([{ id: 1, b: "a" }]);
    else {
      const error = await rejection(opening);
      expect(error.code).toBe("CONNECTION_FAILED");
      expect(error.message).toContain("open the file once with a program that may write");
    }
    await (await open(at(file, { table: "t" }), "target")).close();
    expect((await readAll(await open(at(file), "source"))).records).toEqual([{ id: 1, b: "a" }]);
  }
});

describe("a disk that is full", () => {
  test("is STORAGE_FULL with nothing of the batch written, and goes on when there is room", async ({ skip }) => {
    const folder = temporaryFolder();
    const mount = join(folder, "small");
    mkdirSync(mount);
    try {
      shell(`mount -t tmpfs -o size=3m tmpfs "${mount}"`);
    } catch {
      const reason = "no small file system can be mounted here";
      console.info(`sqlite: not run: a disk that is full (${reason})`);
      skip(reason);
    }
    cleanUp(() => shell(`umount "${mount}"`));
    const file = join(mount, "full.db");
    const target = await open(at(file), "target");
    const batch = (from: number) => Array.from({ length: 100 }, (_, i) => ({ id: from + i, body: "x".repeat(2000) }));
    let written = 0;
    let error: unknown;
    while (error === undefined && written < 10_000) {
      try {
        await write(target, batch(written));
        written += 100;
      } catch (thrown) {
        error = thrown;
      }
    }
    expect(isP2PError(error, "STORAGE_FULL"), String(error)).toBe(true);
    expect(await rejection(write(target, batch(written)))).toMatchObject({ code: "STORAGE_FULL" });
    expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: written }]);
    shell(`mount -o remount,size=20m "${mount}"`);
    expect(await write(target, batch(written))).toMatchObject({ written: 100, failures: [] });
    await target.close();
    expect(query(file, "SELECT count(*) AS n FROM records")).toEqual([{ n: written + 100 }]);
    expect(query(file, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });

  test("a limit on the size of files is a typed error too", async () => {
    const file = join(temporaryFolder(), "limited.db");
    const program = `${WRITER}
      process.on("SIGXFSZ", () => {});
      await write(${JSON.stringify(file)}).catch((error) => console.log("error " + error.code));`;
    const output = await outputOf(runChild(program, { shell: "ulimit -f 2000" }));
    expect(output.trim().split("\n").at(-1)).toMatch(/^error (STORAGE_FULL|WRITE_FAILED)$/);
    expect(query(file, "PRAGMA integrity_check")).toEqual([{ integrity_check: "ok" }]);
  });
});

function shell(command: string): void {
  execFileSync("bash", ["-c", command], { stdio: "ignore" });
}
