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
      {
        what: 'an identity is the id\'s text: 1, 1n and "1" name one record',
        reason: 'MongoDB itself tells the ids 1 and "1" apart',
      },
      {
        what: "law 2, round trip: ids that are objects and tagged values",
        reason: "MongoDB takes { n: 5 } and { n: 5n } for the same _id; the others are in ids.test.ts",
      },
      {
        what: "orderBy on a field of type bytes: both directions, null and absent first when ascending",
        reason: "MongoDB sorts binary data by length first",
      },
      {
        what: "orderBy goes with where, fields, offset and limit, in batches of any size",
        reason: "its random orders take in binary data; sorting.test.ts has the same without it",
      },
    ],
    timeoutMs: 120_000,
  });
});
