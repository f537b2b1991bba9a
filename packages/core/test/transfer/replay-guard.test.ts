import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { DefaultP2PConnectionManager } from "../../src/index.ts";
import { CONTRACT_VERSION } from "../../src/starter.ts";
import { ScriptedStore } from "../support/scripted-store.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-replay-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a replay whose dead letters would go into its own source is refused, and the file is left as it is", async () => {
  const file = join(folder, "failed.ndjson");
  const line = `${JSON.stringify({ transferId: "t", id: "1", phase: "write", record: { id: "1" } })}\n`;
  writeFileSync(file, line);
  const manager = new DefaultP2PConnectionManager();
  manager.registerService("refusing", {
    storageType: "refusing",
    contractVersion: CONTRACT_VERSION,
    options: {},
    open: async () => ({
      capabilities: new ScriptedStore([], { capabilities: { shareable: false, resumable: false } }).capabilities,
      identity: async () => ({}),
      readFromSource: async function* () {},
      writeToTarget: () => Promise.reject(new Error("not asked for")),
      count: async () => undefined,
      partitions: async (query) => [query],
      ping: async () => {},
      close: async () => {},
    }),
  });
  try {
    const { connectionId } = await manager.establish(`dead-letters:${file}`, "refusing:");
    const replay = manager.transferThroughConnection(connectionId, {}, { deadLetters: file });
    await expect(replay).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    expect(readFileSync(file, "utf8")).toBe(line);
  } finally {
    await manager.close();
  }
});
