import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { elasticsearchStarter } from "../src/index.ts";
import { freshIndex } from "./fresh-index.ts";

describeWithService("elasticsearch", "Elasticsearch", ({ url }) => {
  describeConformance({
    name: "elasticsearch",
    starter: elasticsearchStarter,
    createEndpoint: async () => freshIndex(url),
    lacks: [{ what: "long ids", reason: "Elasticsearch's ids have 512 bytes at most" }],
    timeoutMs: 120_000,
  });
});
