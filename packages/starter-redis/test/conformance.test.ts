import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { redisStarter } from "../src/index.ts";
import { makePlace } from "./places.ts";

describeWithService("redis", "conformance", ({ url }) => {
  for (const format of ["json", "hash"]) {
    describeConformance({
      name: `redis, format=${format}`,
      starter: redisStarter,
      createEndpoint: async () => {
        const place = makePlace(url);
        return { endpoint: place.endpoint({ format }), dispose: () => place.dispose() };
      },
      lacks: [
        { what: "missing sources", reason: "Redis has keys and nothing that holds them, so nothing is missing" },
        {
          what: "law 4, resume: records deleted behind a sorted read (asc) take no others with them",
          reason: "a cursor is the number of records read until that is mended",
        },
        {
          what: "law 4, resume: records deleted behind a sorted read (desc) take no others with them",
          reason: "a cursor is the number of records read until that is mended",
        },
      ],
    });
  }
});
