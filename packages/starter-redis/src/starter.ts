import { CONTRACT_VERSION, type P2PStarter } from "@omni/p2p-core/starter";
import { openRedis } from "./client/client.ts";
import { storeIdentity } from "./client/identity.ts";
import { parseRedisEndpoint, redisOptions } from "./endpoint.ts";
import { describeSample } from "./inspecting/describe-mapping.ts";
import { inspectRedis } from "./inspecting/inspect.ts";
import { keyOfId } from "./query/id-keys.ts";
import { keyName } from "./query/keys.ts";
import { partitionQuery } from "./query/query.ts";
import { readBatches, readDocuments } from "./read.ts";
import { countRecords } from "./reading/count.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { redisCapabilities } from "./types.ts";
import { comparableDump } from "./values/dump-value.ts";
import { type RedisDocument, rawFormat, recordOf } from "./values/raw-document.ts";
import { writeDocuments, writeRecords } from "./write.ts";
import { deleteRecords } from "./writing/delete.ts";

/**
 * Opens `redis://user:password@host:6379/0?prefix=docs:` endpoints.
 *
 * @example
 * ```ts
 * manager.registerService("redis", redisStarter);
 * await manager.establish("sqlite:./knowledge.db?table=docs", "redis://localhost/0?prefix=docs:");
 * ```
 */
export const redisStarter: P2PStarter = {
  storageType: "redis",
  contractVersion: CONTRACT_VERSION,
  options: redisOptions,
  capabilities: redisCapabilities(redisOptions.format.default),
  async open(endpoint, context) {
    const settings = parseRedisEndpoint(endpoint);
    const { link, tellsExpiry, maxValueBytes } = await openRedis(endpoint, settings, context);
    const source = { link, settings, tellsExpiry };
    const target = { link, settings, maxValueBytes };
    return {
      capabilities: redisCapabilities(settings.format),
      readFromSource: (query, options) => readBatches(source, query, options),
      writeToTarget: (records, options) => writeRecords(target, records, options),
      ...(settings.format === "json" && {
        rawSource: {
          format: rawFormat(settings),
          read: (query, options) => readDocuments(source, query, options),
          decode: (document) => recordOf(document as RedisDocument, settings),
        },
        rawTarget: {
          accepts: (format) => format === rawFormat(settings),
          write: (documents, options) => writeDocuments(target, documents as readonly RedisDocument[], options),
        },
      }),
      lookUp: (refs, query, options) => lookUpRecords(source, refs, query, options),
      deleteFromTarget: (refs, options) => deleteRecords(source, refs, options),
      count: (query, signal) => countRecords(source, query, signal),
      partitions: async (query, parts, signal) => {
        signal.throwIfAborted();
        return partitionQuery(query, parts, settings);
      },
      ...(settings.format === "dump" && { comparable: comparableDump }),
      // In a dump the key is all there is of an id.
      ...(settings.format === "dump" && { idForm: (id) => keyName(keyOfId(id, settings)) }),
      identity: (signal) => storeIdentity(link, settings, signal),
      ping: (signal) => link.ping(signal),
      close: () => link.close(),
    };
  },
  async inspect(endpoint, context) {
    const settings = parseRedisEndpoint(endpoint);
    const open = await openRedis(endpoint, settings, context);
    try {
      return await inspectRedis(open, settings, context.signal);
    } finally {
      await open.link.close();
    }
  },
  async describeMapping(endpoint, sample, context) {
    const settings = parseRedisEndpoint(endpoint);
    const { link, maxValueBytes } = await openRedis(endpoint, settings, { ...context, role: "target" });
    try {
      return describeSample(sample, { link, settings, maxValueBytes });
    } finally {
      await link.close();
    }
  },
};
