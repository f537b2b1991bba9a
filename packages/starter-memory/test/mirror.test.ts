import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { afterEach, describe, expect, test } from "vitest";
import { memoryStarter, memoryStore } from "../src/index.ts";

afterEach(() => {
  for (const name of ["mirrored", "mirror"]) memoryStore(name).clear();
});

async function connected() {
  const manager = new DefaultP2PConnectionManager();
  manager.registerService("memory", memoryStarter);
  return manager.establish("memory:mirrored", "memory:mirror");
}

describe("a mirror by a connection", () => {
  test("writes what is missing or different, removes what is extra, and finds nothing the next time", async () => {
    const [source, target] = [memoryStore("mirrored"), memoryStore("mirror")];
    for (let n = 0; n < 500; n++) source.put({ id: n, text: `record ${n}` });
    for (let n = 5; n < 510; n++) target.put({ id: n, text: n < 15 ? "another" : `record ${n}` });
    const connection = await connected();
    const first = await connection.mirror({}, { deletes: "remove", deadLetters: false });
    expect(first).toMatchObject({ successCount: 15, deletedCount: 10 });
    expect(await connection.verify()).toMatchObject({ equal: true, sourceCount: 500, targetCount: 500 });
    const second = await connection.mirror({}, { deletes: "remove", deadLetters: false });
    expect(second).toMatchObject({ successCount: 0, deletedCount: 0 });
    await connection.close();
  });

  test("of an empty source takes nothing away, nor more than may be", async () => {
    const [source, target] = [memoryStore("mirrored"), memoryStore("mirror")];
    for (let n = 0; n < 300; n++) target.put({ id: n });
    const connection = await connected();
    const mirror = () => connection.mirror({}, { deletes: "remove", deadLetters: false });
    await expect(mirror()).rejects.toMatchObject({ code: "EMPTY_SOURCE" });
    source.put({ id: 0 });
    await expect(mirror()).rejects.toMatchObject({ code: "TOO_MANY_DELETES" });
    expect(target.size).toBe(300);
    await connection.close();
  });

  test("has its letters in a file of its own name", async () => {
    memoryStore("mirrored").put({ id: 1 });
    const connection = await connected();
    const folder = mkdtempSync(join(tmpdir(), "p2p-"));
    const transform = () => {
      throw new Error("no");
    };
    const { transferId, deadLetters } = await connection.mirror({}, { transform, checkpoint: folder });
    expect(deadLetters).toBe(join(folder, `${transferId}.dead-letters.ndjson`));
    rmSync(folder, { recursive: true });
    await connection.close();
  });
});
