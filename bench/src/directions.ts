import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { dropMemoryStore } from "@omni/p2p-starter-memory";
import { removeDatabase, workFolder } from "./data.ts";
import { sqliteToMap, sqliteToSqlite } from "./limits/sqlite.ts";

/** One direction that is measured: ours, and the best hand-written loop for the same work. */
export interface Direction {
  readonly name: string;
  readonly ours: (file: string) => Promise<void>;
  readonly limit: (file: string) => void | Promise<void>;
}

const target = join(workFolder, "target.db");

/** Moves the whole table through a connection with the default settings. */
async function transfer(file: string, to: string): Promise<void> {
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  try {
    const { connectionId } = await manager.establish(`sqlite:${file}?table=docs`, to);
    const { failureCount } = await manager.transferThroughConnection(connectionId, {});
    if (failureCount > 0) throw new Error(`${failureCount} records failed`);
  } finally {
    await manager.close();
  }
}

export const directions: readonly Direction[] = [
  {
    name: "sqlite -> memory",
    async ours(file) {
      dropMemoryStore("bench");
      await transfer(file, "memory:bench");
    },
    limit(file) {
      sqliteToMap(file);
    },
  },
  {
    name: "sqlite -> sqlite",
    async ours(file) {
      removeDatabase(target);
      await transfer(file, `sqlite:${target}?table=docs`);
    },
    limit(file) {
      removeDatabase(target);
      sqliteToSqlite(file, target);
    },
  },
];
