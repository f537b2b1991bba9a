import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeConformance } from "@omni/p2p-testkit";
import { fileStarter } from "../src/index.ts";

describeConformance({
  name: "file",
  starter: fileStarter,
  lacks: [
    { what: "sorting", reason: "a file is read in its own order" },
    { what: "replacing", reason: "a file takes records at its end, and does not know which ids it holds" },
  ],
  async createEndpoint() {
    const folder = await mkdtemp(join(tmpdir(), "p2p-file-"));
    const path = join(folder, "records.ndjson");
    return {
      endpoint: `file:${path}?ifExists=append`,
      remove: () => rm(path, { force: true }),
      dispose: () => rm(folder, { recursive: true }),
    };
  },
});
