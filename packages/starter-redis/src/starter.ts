import {
  type ChangeStatus,
  CONTRACT_VERSION,
  type EndpointInfo,
  endpointLabel,
  type OpenContext,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { changeStatus, disableChanges, enableChanges, redisChangeFeed } from "./changes.ts";
import { openRedis } from "./client/client.ts";
import { storeIdentity } from "./client/identity.ts";
import { keyName } from "./client/keys.ts";
import type { Keyspace } from "./client/keyspace.ts";
import { redisLeases } from "./client/leases.ts";
import { parseRedisEndpoint, redisOptions } from "./endpoint.ts";
import { redisCollections } from "./inspecting/collections.ts";
import { describeSample } from "./inspecting/describe-mapping.ts";
import { inspectRedis } from "./inspecting/inspect.ts";
import { keyOfId } from "./query/id-keys.ts";
import { partitionQuery } from "./query/partition.ts";
import { readBatches } from "./read.ts";
import { countRecords } from "./reading/count.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { readDocuments } from "./reading/raw-read.ts";
import { redisCapabilities, STORE } from "./types.ts";
import { comparableDump } from "./values/dump-value.ts";
import { type RedisDocument, rawFormat, recordOf } from "./values/raw-document.ts";
import { writeRecords } from "./write.ts";
import { deleteRecords } from "./writing/delete.ts";
import { writeDocuments } from "./writing/raw-write.ts";

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
  storageType: STORE,
  contractVersion: CONTRACT_VERSION,
  threads: true,
  options: redisOptions,
  capabilities: redisCapabilities(redisOptions.format.default),
  async open(endpoint, context) {
    const settings = parseRedisEndpoint(endpoint);
    const keyspace = await openRedis(endpoint, settings, context);
    const { link } = keyspace;
    const changes = redisChangeFeed(keyspace, endpointLabel(endpoint));
    return {
      capabilities: redisCapabilities(settings.format),
      readFromSource: (query, options) => readBatches(keyspace, query, options),
      writeToTarget: (records, options) => writeRecords(keyspace, records, options),
      ...(settings.format === "json" && {
        rawSource: {
          format: rawFormat(settings),
          read: (query, options) => readDocuments(keyspace, query, options),
          decode: (document) => recordOf(document as RedisDocument, settings),
        },
        rawTarget: {
          accepts: (format) => format === rawFormat(settings),
          write: (documents, options) => writeDocuments(keyspace, documents as readonly RedisDocument[], options),
        },
      }),
      lookUp: (refs, query, options) => lookUpRecords(keyspace, refs, query, options),
      deleteFromTarget: (refs, options) => deleteRecords(keyspace, refs, options),
      count: (query, signal) => countRecords(keyspace, query, signal),
      partitions: async (query, parts, signal) => {
        signal.throwIfAborted();
        return partitionQuery(query, parts, settings);
      },
      ...(settings.format === "dump" && { comparable: comparableDump }),
      // In a dump the key is all there is of an id.
      ...(settings.format === "dump" && { idForm: (id) => keyName(keyOfId(id, settings)) }),
      identity: (signal) => storeIdentity(link, settings, signal),
      changes,
      leases: redisLeases(keyspace),
      ping: (signal) => link.ping(signal),
      close: () => {
        changes.close();
        return link.close();
      },
    };
  },
  async inspect(endpoint, context) {
    const settings = parseRedisEndpoint(endpoint);
    const keyspace = await openRedis(endpoint, settings, context);
    try {
      return await inspectRedis(keyspace, context.signal);
    } finally {
      await keyspace.link.close();
    }
  },
  async describeMapping(endpoint, sample, context) {
    const settings = parseRedisEndpoint(endpoint);
    const keyspace = await openRedis(endpoint, settings, { ...context, role: "target" });
    try {
      return describeSample(sample, keyspace);
    } finally {
      await keyspace.link.close();
    }
  },
  collections: redisCollections,
  changes: {
    status: withChanges(changeStatus),
    enable: withChanges(enableChanges),
    disable: withChanges(disableChanges),
  },
};

/** What is done with an endpoint that is opened for it alone. */
function withChanges(
  use: (keyspace: Keyspace, label: string, signal: AbortSignal) => Promise<ChangeStatus>,
): (endpoint: EndpointInfo, context: OpenContext) => Promise<ChangeStatus> {
  return async (endpoint, context) => {
    const keyspace = await openRedis(endpoint, parseRedisEndpoint(endpoint), context);
    try {
      return await use(keyspace, endpointLabel(endpoint), context.signal);
    } finally {
      await keyspace.link.close();
    }
  };
}
