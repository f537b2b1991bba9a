import { idKey } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describeConformance } from "@omni/p2p-testkit";
import { redisStarter } from "../src/index.ts";
import { makePlace } from "./places.ts";

/** The formats that are tried with a marker in the middle of the records. */
const MARKED: ReadonlySet<string> = new Set(["hash"]);

/** A text with a tag that means nothing. */
const BROKEN = '{"a":{"$p2p":"date","value":"never"}}';

const UNMARKED = [
  {
    what: "law 4, resume: a target that was made anew is not gone on with",
    reason: "without a marker, a record of the same id looks like the one that was written",
  },
];

describeWithService("redis", "conformance", ({ url }) => {
  for (const format of ["json", "hash"]) {
    describeConformance({
      name: `redis, format=${format}`,
      starter: redisStarter,
      createEndpoint: async () => {
        const place = makePlace(url);
        const marker = MARKED.has(format) ? { marker: `${place.prefix}marker` } : {};
        return {
          endpoint: place.endpoint({ format, ...marker }),
          database: {
            endpoint: place.endpoint({ format, ...marker, prefix: place.parts.shared }),
            name: place.parts.name,
          },
          breakRecord: (id) => place.set(idKey(id), BROKEN),
          changeRecord: (id) => place.set(idKey(id), '{"changed":true}'),
          dispose: () => place.dispose(),
        };
      },
      lacks: [
        { what: "missing sources", reason: "Redis has keys and nothing that holds them, so nothing is missing" },
        ...(MARKED.has(format) ? [] : UNMARKED),
      ],
    });
  }
});
