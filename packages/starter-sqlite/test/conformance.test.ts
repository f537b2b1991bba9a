import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeConformance } from "@omni/p2p-testkit";
import { sqliteStarter } from "../src/index.ts";

for (const thread of ["never", "always"]) {
  describeConformance({
    name: thread === "never" ? "sqlite" : "sqlite, written by a thread",
    starter: sqliteStarter,
    async createEndpoint() {
      const folder = await mkdtemp(join(tmpdir(), "p2p-sqlite-"));
      return {
        endpoint: `sqlite:${folder}/store.db?table=records&thread=${thread}`,
        // The file alone: a folder is made by nobody.
        remove: () =>
          Promise.all(["", "-wal", "-shm"].map((end) => rm(`${folder}/store.db${end}`, { force: true }))).then(
            () => {},
          ),
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
}
