import { idKey } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { elasticsearchStarter } from "../src/index.ts";
import { call, freshIndex } from "./fresh-index.ts";

/** A sidecar of the right form, with a tag that means nothing. */
const BROKEN = { values: { title: [{ $p2p: "date", value: "never" }] } };

describeWithService("elasticsearch", "Elasticsearch", ({ url }) => {
  describeConformance({
    name: "elasticsearch",
    starter: elasticsearchStarter,
    createEndpoint: async () => {
      const place = freshIndex(url);
      return {
        ...place,
        database: { endpoint: place.cluster, name: place.index },
        breakRecord: async (id) => {
          const path = `/${place.index}/_update/${encodeURIComponent(idKey(id))}?refresh=true`;
          await call(url, "POST", path, { doc: { _p2p: BROKEN } });
        },
      };
    },
    lacks: [{ what: "long ids", reason: "Elasticsearch's ids have 512 bytes at most" }],
    timeoutMs: 120_000,
  });
});
