import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager, type P2PId, TaggedValue } from "@omni/p2p-core";
import { memoryStarter, memoryStore } from "@omni/p2p-starter-memory";
import { redisStarter } from "@omni/p2p-starter-redis";
import { sqliteStarter } from "@omni/p2p-starter-sqlite";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, expect, it } from "vitest";

/** Of every kind, and such as might be taken for one another. */
const IDS: readonly P2PId[] = [
  ...[1, 3n, 4.5, true, "two", "  ", "a'b", "\u2028", "00ff", "2024-01-01T00:00:00.000Z"],
  ...[new Date(0), new Uint8Array([1, 255]), new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"), { a: 1 }],
];

describeWithService("redis", "a mirror from one of the command's stores to the next", ({ url }) => {
  const folder = mkdtempSync(join(tmpdir(), "p2p-"));
  const redis = new URL(url);
  redis.searchParams.set("prefix", `p2p-test:${folder}:`);
  const sqlite = `sqlite:${join(folder, "mirror.db")}?table=docs`;
  const manager = new DefaultP2PConnectionManager();
  for (const starter of [memoryStarter, redisStarter, sqliteStarter])
    manager.registerService(starter.storageType, starter);
  for (const id of IDS) memoryStore("cli-mirror").put({ id, when: new Date(5) });
  memoryStore("cli-mirror-less").put({ id: 1, when: "another" });
  const remove = { deletes: "remove", deadLetters: false } as const;

  afterAll(async () => {
    memoryStore("cli-mirror-less").delete(1);
    const emptying = await manager.establish("memory:cli-mirror-less", redis.href);
    await emptying.mirror({}, { ...remove, allowEmptySource: true });
    await manager.close();
    for (const name of ["", "-less", "-last"]) memoryStore(`cli-mirror${name}`).clear();
    rmSync(folder, { recursive: true });
  });

  it.each([
    ["memory", "sqlite", "memory:cli-mirror", sqlite],
    ["sqlite", "redis", sqlite, redis.href],
    ["redis", "memory", redis.href, "memory:cli-mirror-last"],
  ])("%s to %s brings ids of every kind, takes them out, and does nothing twice", async (_, __, source, target) => {
    const connection = await manager.establish(source, target);
    const all = IDS.length;
    expect(await connection.mirror({}, remove)).toMatchObject({ successCount: all, failureCount: 0, deletedCount: 0 });
    expect(await connection.mirror({}, remove)).toMatchObject({ totalRecords: 0, deletedCount: 0 });
    const less = await manager.establish("memory:cli-mirror-less", target);
    expect(await less.mirror({}, remove)).toMatchObject({ successCount: 1, failureCount: 0, deletedCount: all - 1 });
    expect(await connection.mirror({}, remove)).toMatchObject({ successCount: all, failureCount: 0, deletedCount: 0 });
    expect(await connection.verify()).toMatchObject({ equal: true, sourceCount: all, targetCount: all });
  });
});
