/** What killed runs had begun to make is gone once a later run of theirs has ended, Parquet's second file included. */
import { spawnSync } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { expect, it } from "vitest";
import { fileStarter } from "../src/index.ts";
import { calm, temporaryFolder } from "./support.ts";

it.each(["out.ndjson", "out.parquet"])("nothing is left beside %s", async (name) => {
  const folder = temporaryFolder();
  const { pid } = spawnSync(process.execPath, ["--version"]);
  const context = { role: "target", signal: calm(), connectTimeoutMs: 10_000 } as const;
  const target = await fileStarter.open(parseEndpoint(`file:${join(folder, name)}`), context);
  await target.sequential!.begin({ resumable: true, signal: calm() });
  await target.writeToTarget([{ id: 1 }], { mode: "upsert", signal: calm() });
  // As a run leaves it that is killed while it makes the file of its spool: the next one goes on, and does not begin.
  writeFileSync(join(folder, `.${name}.p2p-${pid}-abcdef`), "half");
  // Of a process that is at work, and of one of another host or container, of which nobody here knows.
  const kept = [`.${name}.p2p-${process.pid}-abcdef`, `.${name}.p2p-${pid}-abcdef-012345`];
  for (const other of kept) writeFileSync(join(folder, other), "");
  await target.sequential!.finish(calm());
  await target.close();
  expect(readdirSync(folder).toSorted()).toEqual([...kept, name].toSorted());
});
