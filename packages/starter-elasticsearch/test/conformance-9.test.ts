import { describeWithOwnService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { elasticsearchStarter } from "../src/index.ts";
import { freshIndex } from "./fresh-index.ts";

await describeWithOwnService("elasticsearch", { release: "9", heap: "512m" }, "Elasticsearch 9", ({ url }) => {
  describeConformance({
    name: "elasticsearch 9",
    starter: elasticsearchStarter,
    createEndpoint: async () => freshIndex(url),
    lacks: [{ what: "long ids", reason: "Elasticsearch's ids have 512 bytes at most" }],
    timeoutMs: 120_000,
  });
});
