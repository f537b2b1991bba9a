import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeConformance } from "@omni/p2p-testkit";
import { jsonFilesStarter } from "../src/index.ts";

describeConformance({
  name: "json-files",
  starter: jsonFilesStarter,
  async createEndpoint() {
    const parent = await mkdtemp(join(tmpdir(), "json-files-"));
    return {
      endpoint: { storageType: "json-files", database: join(parent, "records") },
      dispose: () => rm(parent, { recursive: true, force: true }),
    };
  },
  lacks: [{ what: "sorting", reason: "files have no index to sort by" }],
});
