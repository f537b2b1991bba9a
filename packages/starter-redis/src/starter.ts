import { CONTRACT_VERSION, type P2PStarter } from "@omni/p2p-core";
import { openRedis } from "./client.ts";
import { countRecords } from "./count.ts";
import { comparableDump } from "./dump-value.ts";
import { parseRedisEndpoint, redisOptions } from "./endpoint.ts";
import { inspectRedis } from "./inspect.ts";
import { keyName } from "./keys.ts";
import { describeSample } from "./mapping.ts";
import { keyOf } from "./parcel.ts";
import { partitionQuery } from "./query.ts";
import { type RedisDocument, rawFormat, recordOf } from "./raw-document.ts";
import { readBatches, readDocuments } from "./read.ts";
import { storeIdentity } from "./store-identity.ts";
import { redisCapabilities } from "./types.ts";
import { writeDocuments, writeRecords } from "./write.ts";

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
      count: (query, signal) => countRecords(source, query, signal),
      partitions: async (query, parts, signal) => {
        signal.throwIfAborted();
        return partitionQuery(query, parts, settings);
      },
      ...(settings.format === "dump" && { comparable: comparableDump }),
      // In a dump the key is all there is of an id.
      ...(settings.format === "dump" && { idForm: (id) => keyName(keyOf(id, settings)) }),
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
