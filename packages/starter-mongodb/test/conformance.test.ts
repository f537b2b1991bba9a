import { lacks } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { mongodbStarter } from "../src/index.ts";
import { endpointFor, scratchCollections } from "./scratch.ts";

/** A sidecar of the right form, with a text that is no valid one: half of a surrogate pair. */
const BROKEN = '{"title":"\\ud800"}';

describeWithService("mongodb", "mongodb", (service) => {
  const { createEndpoint, database } = scratchCollections(service.url, "conformance");
  describeConformance({
    name: "mongodb",
    starter: mongodbStarter,
    createEndpoint: async () => {
      const place = await createEndpoint();
      return {
        ...place,
        database: { endpoint: endpointFor(service.url, database), name: place.collection.collectionName },
        breakRecord: async (id) => {
          const { matchedCount } = await place.collection.updateOne({ _id: id as never }, { $set: { _p2p: BROKEN } });
          if (matchedCount !== 1) throw new Error(`${matchedCount} documents have the id ${String(id)}`);
        },
      };
    },
    // Generated ids would meet their like of another type now and then. Dates and bytes as ids are in the other checks.
    ...(lacks(service.product, "ids of different types that look alike") && {
      values: { idsWithout: ["date", "bytes"] as const },
    }),
    lacks: [
      { what: "one identity", reason: 'MongoDB itself tells the ids 1 and "1" apart' },
      { what: "sorted bytes", reason: "MongoDB orders binary data by length first" },
      { what: "sorted id kinds", reason: "MongoDB has an order of its own among types" },
      { what: "sorted kinds", reason: "MongoDB has an order of its own among types" },
      {
        what: "law 2, round trip: ids that are objects and tagged values",
        reason: "MongoDB takes { n: 5 } and { n: 5n } for the same _id; the others are in ids.test.ts",
      },
    ],
    timeoutMs: 120_000,
  });
});
