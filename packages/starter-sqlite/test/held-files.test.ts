import { existsSync, lstatSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { expect, test } from "vitest";
import { sqliteStarter } from "../src/index.ts";
import { at, calm, open, query, temporaryFolder, write } from "./support.ts";

test("a new file that is held stays when one of its tables gets nothing, and goes when none of them got anything", async () => {
  const file = join(temporaryFolder(), "new.db");
  const hold = () =>
    sqliteStarter.collections!.hold!(parseEndpoint(at(file, {})), {
      role: "target",
      signal: calm(),
      connectTimeoutMs: 1000,
    });
  const letGoOfNothing = await hold();
  const alone = await open(at(file, { table: "empty" }), "target");
  await alone.close();
  expect(existsSync(file)).toBe(true);
  await letGoOfNothing();
  expect(existsSync(file)).toBe(false);

  const [letGo, letGoToo] = [await hold(), await hold()];
  const empty = await open(at(file, { table: "empty" }), "target");
  const full = await open(at(file, { table: "full" }), "target");
  await empty.close();
  await letGoToo();
  expect(await write(full, [{ id: 1 }])).toMatchObject({ written: 1, failures: [] });
  await full.close();
  await letGo();
  expect(query(file, "SELECT id FROM full")).toEqual([{ id: 1 }]);
});

test("only the file that was made goes when nothing came of it: not an empty one of somebody, a link, nor another of its name", async () => {
  const folder = temporaryFolder();
  const [mine, link, replaced] = ["mine.db", "link.db", "replaced.db"].map((name) => join(folder, name));
  writeFileSync(mine!, "");
  await (await open(at(mine!), "target")).close();
  expect(existsSync(mine!)).toBe(true);
  const letGo = await sqliteStarter.collections!.hold!(parseEndpoint(at(mine!, {})), {
    role: "target",
    signal: calm(),
    connectTimeoutMs: 1000,
  });
  await letGo();
  expect(existsSync(mine!)).toBe(true);

  symlinkSync(join(folder, "there.db"), link!);
  await (await open(at(link!), "target")).close();
  expect(lstatSync(link!).isSymbolicLink()).toBe(true);

  const store = await open(at(replaced!), "target");
  renameSync(replaced!, join(folder, "old.db"));
  writeFileSync(replaced!, "");
  await store.close();
  expect(existsSync(replaced!)).toBe(true);
});
