import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeConformance } from "@omni/p2p-testkit";
import { fileOf } from "../src/client/shelves.ts";
import { jsonFilesStarter } from "../src/index.ts";

describeConformance({
  name: "json-files",
  starter: jsonFilesStarter,
  async createEndpoint() {
    const parent = await mkdtemp(join(tmpdir(), "json-files-"));
    const folder = join(parent, "records");
    return {
      endpoint: { storageType: "json-files", database: folder },
      breakRecord: (id) => writeFile(join(folder, fileOf(id)), "{"),
      dispose: () => rm(parent, { recursive: true, force: true }),
    };
  },
  lacks: [{ what: "sorting", reason: "files have no index to sort by" }],
});
