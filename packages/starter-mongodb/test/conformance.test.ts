import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { mongodbStarter } from "../src/index.ts";
import { scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "mongodb", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "conformance");
  describeConformance({
    name: "mongodb",
    starter: mongodbStarter,
    createEndpoint,
    lacks: [
      { what: "one identity", reason: 'MongoDB itself tells the ids 1 and "1" apart' },
      { what: "sorted bytes", reason: "MongoDB orders binary data by length first" },
      { what: "sorted id kinds", reason: "MongoDB has an order of its own among types" },
      {
        what: "law 2, round trip: ids that are objects and tagged values",
        reason: "MongoDB takes { n: 5 } and { n: 5n } for the same _id; the others are in ids.test.ts",
      },
    ],
    timeoutMs: 120_000,
  });
});
