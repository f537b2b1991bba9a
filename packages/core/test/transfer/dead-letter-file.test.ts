import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { appendFile, link, mkdir, mkdtemp, readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DeadLetter, FileDeadLetterSink, MemoryCheckpointStore, P2PError } from "../../src/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { records, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections, type Setting, transfer } from "../support/transferring.ts";

const root = temporaryFolder();
const newFolder = () => mkdtemp(join(root, "letters-"));

expectNoUnhandledRejections();

/** A target that refuses everything. */
const refusing = () =>
  new ScriptedStore([], { write: (call) => withFailures(call, () => new P2PError("TYPE_MISMATCH", "no")) });

/** A transfer of which every record fails. */
const failing = (
  deadLetters: string | FileDeadLetterSink | undefined,
  count = 3,
  more: object = {},
  setting?: Setting,
) => transfer(new ScriptedStore(records(count)), refusing(), { deadLetters, ...more }, setting);

const letter = (id: string, transferId = "t"): DeadLetter => ({
  transferId,
  id,
  phase: "write",
  code: "WRITE_FAILED",
  reason: "no",
  attempts: 1,
  position: 0,
  at: "2026-01-01T00:00:00.000Z",
});

const lines = (file: string) =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as DeadLetter);

describe("what is not ours", () => {
  it.each<[string, string | Buffer]>([
    ["a database", Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(5000, 7)])],
    ["a text", "dear diary\n"],
    ["a text without an end", "x"],
    ["other NDJSON", '{"id":"1","name":"a"}\n{"id":"2","name":"b"}\n'],
    ["a JSON file", '{\n  "transferId": "t"\n}\n'],
    ["an empty line", "\n"],
    ["letters that end in a text", `${JSON.stringify(letter("a"))}\n# my notes\n`],
    ["a text that ends in letters", `# my notes\n${JSON.stringify(letter("a"))}\n`],
    ["a long line of something else", `{"id":"${"x".repeat(200_000)}"}\n`],
  ])("%s is refused before anything is read, and left as it is", async (_, content) => {
    const file = join(await newFolder(), "a.db");
    await writeFile(file, content);
    const source = new ScriptedStore(records(3));
    let read = false;
    const watched = Object.assign(Object.create(source) as ScriptedStore, {
      readFromSource: (...given: Parameters<ScriptedStore["readFromSource"]>) => {
        read = true;
        return source.readFromSource(...given);
      },
    });
    await expect(transfer(watched, new ScriptedStore(), { deadLetters: file })).rejects.toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringMatching(
        /a\.db: it holds something else.*Nothing in it was changed; give another deadLetters file$/,
      ),
    });
    expect(read).toBe(false);
    expect(await readFile(file)).toEqual(Buffer.from(content));
    expect(readdirSync(join(file, ".."))).toEqual(["a.db"]);
  });

  it("a lock file of somebody else's beside it is left alone", async () => {
    const folder = await newFolder();
    await writeFile(join(folder, "yarn.lock"), "# yarn lockfile v1\n");
    await failing(join(folder, "yarn"));
    expect(readdirSync(folder).sort()).toEqual(["yarn", "yarn.lock"]);
    expect(readFileSync(join(folder, "yarn.lock"), "utf8")).toBe("# yarn lockfile v1\n");
  });

  it.runIf(process.platform !== "win32")("a device or a pipe is refused, and nobody waits for it", async () => {
    await expect(failing("/dev/null")).rejects.toMatchObject({ message: expect.stringContaining("it is no file") });
  });

  it("keeps the checkpoint of an earlier run when the run is refused", async () => {
    const checkpoint = new MemoryCheckpointStore();
    const file = join(await newFolder(), "x");
    await transfer(new ScriptedStore(records(3)), new ScriptedStore(), { transferId: "t", checkpoint });
    await writeFile(file, "mine");
    for (const partitions of [1, 4]) {
      await expect(failing(file, 3, { transferId: "t", checkpoint, partitions })).rejects.toMatchObject({
        code: "DEAD_LETTER_FAILED",
      });
      expect(await checkpoint.load("t")).toMatchObject({ status: "completed" });
    }
  });

  it("is not reached by a symbolic link at the default name", async () => {
    const folder = await newFolder();
    for (const [transferId, content] of [
      ["a", "precious"],
      ["b", ""],
      ["c", `${JSON.stringify(letter("x"))}\n`],
    ] as const) {
      const other = join(folder, `${transferId}.txt`);
      await writeFile(other, content);
      await symlink(other, join(folder, `${transferId}.dead-letters.ndjson`));
      await expect(failing(undefined, 3, { transferId, checkpoint: folder })).rejects.toMatchObject({
        code: "DEAD_LETTER_FAILED",
        message: expect.stringContaining("symbolic link"),
      });
      expect(readFileSync(other, "utf8")).toBe(content);
    }
    const nowhere = join(folder, "nowhere");
    await symlink(nowhere, join(folder, "d.dead-letters.ndjson"));
    await expect(failing(undefined, 3, { transferId: "d", checkpoint: folder })).rejects.toThrow("symbolic link");
    expect(existsSync(nowhere)).toBe(false);
  });

  it("is seen through a link that the user has named", async () => {
    const folder = await newFolder();
    const file = join(folder, "real.ndjson");
    await writeFile(file, "precious");
    await symlink(file, join(folder, "link"));
    await expect(failing(join(folder, "link"))).rejects.toThrow("something else than dead letters");
    await writeFile(file, "");
    await failing(join(folder, "link"));
    expect(lines(file)).toHaveLength(3);
    await failing(join(folder, "link"), 2);
    expect(lines(file)).toHaveLength(2);
    expect(lines(join(folder, "real.1.ndjson"))).toHaveLength(3);
  });
});

describe("the files of the transfer itself", () => {
  const at = (database: string, storageType = "sqlite") => ({ endpointId: "e", storageType, database });

  it.each(["", "-wal", "-shm", "-journal"])(
    "the source's and the target's are refused by identity: <file>%s",
    async (ending) => {
      const folder = await newFolder();
      const file = join(folder, "a.db");
      const named = file + ending;
      await writeFile(named, "");
      await symlink(named, join(folder, "soft"));
      await link(named, join(folder, "hard"));
      await symlink(folder, join(folder, "folder"));
      for (const name of [named, join(folder, "soft"), join(folder, "hard"), join(folder, "folder", `a.db${ending}`)]) {
        for (const setting of [{ sourceEndpoint: at(file) }, { targetEndpoint: at(file) }]) {
          await expect(failing(name, 3, {}, setting), name).rejects.toMatchObject({ code: "INVALID_CONFIG" });
          await expect(failing(name, 3, { partitions: 3 }, setting), name).rejects.toMatchObject({
            code: "INVALID_CONFIG",
          });
        }
      }
      expect(readFileSync(named, "utf8")).toBe("");
    },
  );

  it("are refused before they are there", async () => {
    const folder = await newFolder();
    await symlink(folder, join(folder, "folder"));
    const setting = { targetEndpoint: at(join(folder, "new.db")) };
    await expect(failing(join(folder, "folder", "new.db"), 3, {}, setting)).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
    expect(readdirSync(folder)).toEqual(["folder"]);
  });

  it("the letters that a replay reads are, by whatever link, and none is lost", async () => {
    const folder = await newFolder();
    const file = join(folder, "failed.ndjson");
    await failing(file, 50);
    await symlink(file, join(folder, "soft.ndjson"));
    await link(file, join(folder, "hard.ndjson"));
    for (const read of ["failed.ndjson", "soft.ndjson", "hard.ndjson"]) {
      for (const written of ["failed.ndjson", "soft.ndjson", "hard.ndjson"]) {
        const setting = { sourceEndpoint: at(join(folder, read), "dead-letters") };
        await expect(failing(join(folder, written), 3, {}, setting)).rejects.toMatchObject({ code: "INVALID_CONFIG" });
      }
    }
    expect(lines(file)).toHaveLength(50);
  });

  it("a checkpoint's name in its folder is", async () => {
    const folder = await newFolder();
    const file = join(folder, "t.checkpoint.json");
    await expect(failing(file, 3, { transferId: "t", checkpoint: folder })).rejects.toMatchObject({
      code: "INVALID_CONFIG",
    });
  });

  it("a memory store of the same name is no file", async () => {
    const folder = await newFolder();
    const file = join(folder, "scratch");
    await failing(file, 3, {}, { targetEndpoint: at(file, "memory") });
    expect(lines(file)).toHaveLength(3);
  });
});

describe("the letters of earlier runs", () => {
  it("are kept under the next free number", async () => {
    const folder = await newFolder();
    const file = join(folder, "failed.ndjson");
    await writeFile(join(folder, "failed.4.ndjson"), "of somebody else");
    for (const count of [1, 2, 3]) await failing(file, count);
    expect(readdirSync(folder).sort()).toEqual([
      "failed.4.ndjson",
      "failed.5.ndjson",
      "failed.6.ndjson",
      "failed.ndjson",
    ]);
    expect(lines(join(folder, "failed.5.ndjson"))).toHaveLength(1);
    expect(lines(join(folder, "failed.6.ndjson"))).toHaveLength(2);
    expect(readFileSync(join(folder, "failed.4.ndjson"), "utf8")).toBe("of somebody else");
  });

  it("are kept by a transfer in parts too", async () => {
    const folder = await newFolder();
    const file = join(folder, "failed");
    await failing(file, 5);
    const result = await failing(file, 4, { partitions: 3 });
    expect(result.notes).toContain(`The records that failed in an earlier run are kept in ${file}.1`);
    expect([lines(`${file}.1`).length, lines(file).length]).toEqual([5, 4]);
  });

  it("go only when that is wanted", async () => {
    const folder = await newFolder();
    const file = join(folder, "failed.ndjson");
    await failing(file, 5);
    await failing(new FileDeadLetterSink(file, { earlier: "overwrite" }), 2);
    expect(lines(file)).toHaveLength(2);
    expect(readdirSync(folder)).toEqual(["failed.ndjson"]);
    await failing(file, 4, { earlierDeadLetters: "overwrite" });
    expect(lines(file)).toHaveLength(4);
    expect(readdirSync(folder)).toEqual(["failed.ndjson"]);
    const wrong = failing(file, 1, { earlierDeadLetters: "drop" as never });
    await expect(wrong).rejects.toThrow(/"earlierDeadLetters" must be "keep" or "overwrite"/);
  });

  it("with a last line that a crash has torn are letters", async () => {
    const file = join(await newFolder(), "f");
    await failing(file, 2);
    await appendFile(file, '{"transferId":"t","id":"3","pha');
    await failing(file, 1);
    expect(lines(file)).toHaveLength(1);
    await writeFile(file, '{"transf');
    await failing(file, 1);
    expect(readFileSync(`${file}.2`, "utf8")).toBe('{"transf');
  });

  it("longer than what is looked at are letters", async () => {
    const file = join(await newFolder(), "f");
    const big = records(3, () => ({ text: "x".repeat(150_000) }));
    for (let round = 0; round < 2; round++) await transfer(new ScriptedStore(big), refusing(), { deadLetters: file });
    expect(lines(file)).toHaveLength(3);
    expect(lines(`${file}.1`)).toHaveLength(3);
  });
});

describe("going on", () => {
  async function begun(file: string) {
    const sink = new FileDeadLetterSink(file);
    await sink.open(null);
    const position = await sink.write([letter("a"), letter("b")]);
    await sink.write([letter("c")]);
    await sink.close();
    return position;
  }
  const goOn = async (file: string, position: Parameters<FileDeadLetterSink["open"]>[0]) => {
    const sink = new FileDeadLetterSink(file);
    try {
      await sink.open(position);
      await sink.write([letter("d")]);
    } finally {
      await sink.close();
    }
    return sink;
  };

  it("cuts the file back that the earlier run wrote, wherever it was moved with its folder", async () => {
    const folder = await newFolder();
    const position = await begun(join(folder, "f"));
    const moved = `${folder}-moved`;
    await rename(folder, moved);
    await goOn(join(moved, "f"), position);
    expect(lines(join(moved, "f")).map(({ id }) => id)).toEqual(["a", "b", "d"]);
  });

  it("leaves another file as it is", async () => {
    const file = join(await newFolder(), "f");
    const position = await begun(file);
    for (const content of [
      [letter("x"), letter("y"), letter("z"), letter("w")].map((one) => `${JSON.stringify(one)}\n`).join(""),
      `${readFileSync(file, "utf8")}${JSON.stringify(letter("other", "u"))}\n`,
      `${readFileSync(file, "utf8")}and my own notes\n`,
    ]) {
      await writeFile(file, content);
      await expect(goOn(file, position)).rejects.toMatchObject({ code: "DEAD_LETTER_FAILED" });
      expect(readFileSync(file, "utf8")).toBe(content);
    }
  });

  it("goes on in another file where the user names one, and tells where the earlier letters are", async () => {
    const folder = await newFolder();
    const position = await begun(join(folder, "full"));
    const sink = await goOn(join(folder, "roomy"), position);
    expect(lines(join(folder, "roomy")).map(({ id }) => id)).toEqual(["d"]);
    expect(lines(join(folder, "full"))).toHaveLength(3);
    expect(sink.notes).toEqual([`The records that failed in the earlier run are in ${join(folder, "full")}`]);
  });

  it("takes the positions of old, when they are the end of a line", async () => {
    const file = join(await newFolder(), "f");
    const { bytes } = (await begun(file)) as { bytes: number };
    await expect(goOn(file, bytes - 1)).rejects.toThrow("not the file that the earlier run wrote");
    await goOn(file, bytes);
    expect(lines(file).map(({ id }) => id)).toEqual(["a", "b", "d"]);
  });
});

describe("two transfers at once with one file", () => {
  it("are one, and the second is refused; no letter is torn or lost", async () => {
    const file = join(await newFolder(), "f");
    const slow = () =>
      new ScriptedStore([], {
        write: async (call) => {
          await new Promise((resolve) => setTimeout(resolve, 5));
          return withFailures(call, () => new P2PError("TYPE_MISMATCH", "no"));
        },
      });
    const run = () => transfer(new ScriptedStore(records(200)), slow(), { deadLetters: file, batchSize: 10 });
    const ends = await Promise.allSettled([run(), run()]);
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    const refused = ends.find((end) => end.status === "rejected")!;
    expect(refused.reason).toMatchObject({
      code: "DEAD_LETTER_FAILED",
      message: expect.stringMatching(/another transfer is writing its own there, by process \d+/),
    });
    expect(lines(file)).toHaveLength(200);
    expect(readdirSync(join(file, ".."))).toEqual(["f"]);
  });

  it("are refused where the folder is made by the first letter", async () => {
    const file = join(await newFolder(), "new", "f");
    const [first, second] = [new FileDeadLetterSink(file), new FileDeadLetterSink(file)];
    await first.open(null);
    await second.open(null);
    await first.write([letter("a")]);
    await expect(second.write([letter("b")])).rejects.toMatchObject({ code: "DEAD_LETTER_FAILED" });
    await second.close();
    await first.close();
    expect(lines(file)).toHaveLength(1);
  });

  it("are refused across processes, and a killed one's lock is not in the way", async () => {
    const folder = await newFolder();
    const file = join(folder, "f");
    const script = `
      import { FileDeadLetterSink } from ${JSON.stringify(join(import.meta.dirname, "../../src/index.ts"))};
      const sink = new FileDeadLetterSink(${JSON.stringify(file)});
      await sink.open(null);
      await sink.write([${JSON.stringify(letter("theirs"))}]);
      console.log("open");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exit = once(child, "exit");
    await once(child.stdout, "data");
    await expect(failing(file)).rejects.toMatchObject({
      message: expect.stringContaining(`by process ${child.pid}`),
    });
    child.kill("SIGKILL");
    await exit;
    await failing(file);
    expect(lines(`${file}.1`).map(({ id }) => id)).toEqual(["theirs"]);
    expect(lines(file)).toHaveLength(3);
    expect(readdirSync(folder).sort()).toEqual(["f", "f.1"]);
  });
});

describe.runIf(process.platform !== "win32")("who may read it", () => {
  it("is its owner alone, and the folder's", async () => {
    const folder = join(await newFolder(), "deep", "state");
    const open: string[] = [];
    const look = () => {
      for (const name of readdirSync(folder))
        if ((statSync(join(folder, name)).mode & 0o777) !== 0o600) open.push(name);
    };
    const target = new ScriptedStore([], {
      write: async (call) => {
        look();
        return withFailures(call, () => new P2PError("TYPE_MISMATCH", "no"));
      },
    });
    await transfer(new ScriptedStore(records(20)), target, {
      transferId: "t",
      checkpoint: folder,
      deadLetters: undefined,
      batchSize: 2,
    });
    look();
    expect(open).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual(["t.checkpoint.json", "t.dead-letters.ndjson"]);
    for (const above of [folder, join(folder, "..")]) expect(statSync(above).mode & 0o777).toBe(0o700);
  });

  it("a file that was there keeps the rights that it was given", async () => {
    const folder = await newFolder();
    await mkdir(join(folder, "mine"), { mode: 0o755 });
    const file = join(folder, "mine", "f");
    await writeFile(file, "", { mode: 0o640 });
    await failing(file);
    expect(statSync(file).mode & 0o777).toBe(0o640);
  });
});
