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
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
    lacks: [{ what: "sorted kinds", reason: "the column alone decides, and NaN, lists and objects are not in it" }],
  });
}
