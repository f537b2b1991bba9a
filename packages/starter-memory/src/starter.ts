import {
  CONTRACT_VERSION,
  cloneValue,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PRecord,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { memoryChanges } from "./changes.ts";
import { existingStore, type MemoryStore, memoryStore } from "./client/store.ts";
import { memoryOptions, parseMemoryEndpoint } from "./endpoint.ts";
import { memoryCollections } from "./inspecting/collections.ts";
import { describeMemoryMapping, inspectMemory } from "./inspecting/inspect.ts";
import { countRecords, partitionQuery, readBatches, readShared } from "./read.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { memoryCapabilities } from "./types.ts";
import { writeRecords } from "./write.ts";
import { deleteRecords } from "./writing/delete.ts";

/** The form of what two stores of this process hand over: the record itself. */
const SHARED_RECORD = "memory:record";

/** Opens `memory:<name>` endpoints: named stores shared in the process. */
export const memoryStarter: P2PStarter = {
  storageType: "memory",
  contractVersion: CONTRACT_VERSION,
  options: memoryOptions,
  capabilities: memoryCapabilities,
  async open(endpoint, context) {
    return openMemory(endpoint, context);
  },
  async inspect(endpoint, context) {
    context.signal.throwIfAborted();
    parseMemoryEndpoint(endpoint);
    return inspectMemory();
  },
  collections: memoryCollections,
  async describeMapping(endpoint, sample, context) {
    context.signal.throwIfAborted();
    parseMemoryEndpoint(endpoint);
    return describeMemoryMapping(sample);
  },
};

function openMemory(endpoint: EndpointInfo, context: OpenContext): P2PDataTransferService {
  context.signal.throwIfAborted();
  const { name, journal } = parseMemoryEndpoint(endpoint);
  // By its name each time, as `identity` tells it: what is dropped and made anew while it is open is another store.
  const current = (): MemoryStore => {
    const there = existingStore(name);
    if (there || context.role === "target") return there ?? memoryStore(name);
    throw new P2PError(
      "SOURCE_NOT_FOUND",
      `There is no memory store named "${name}" in this process; fill one with memoryStore("${name}").put(record)`,
    );
  };
  const store = current();
  return {
    capabilities: memoryCapabilities,
    readFromSource: (query, options) => readBatches(current(), query, options),
    writeToTarget: async (records, { mode, signal }) => {
      signal.throwIfAborted();
      return writeRecords(current(), records, mode);
    },
    rawSource: {
      format: SHARED_RECORD,
      read: (query, options) => readShared(current(), query, options),
      decode: (document) => cloneValue(document as P2PRecord),
    },
    rawTarget: {
      accepts: (format) => format === SHARED_RECORD,
      write: async (documents, { mode, signal }) => {
        signal.throwIfAborted();
        return writeRecords(current(), documents as readonly P2PRecord[], mode);
      },
    },
    count: async (query, signal) => {
      signal.throwIfAborted();
      return countRecords(current(), query);
    },
    partitions: async (query, parts, signal) => {
      signal.throwIfAborted();
      return partitionQuery(current(), query, parts);
    },
    identity: async (signal) => {
      signal.throwIfAborted();
      const incarnation = existingStore(name)?.incarnation;
      return { thing: name, certain: true, ...(incarnation !== undefined && { incarnation }) };
    },
    lookUp: async (refs, query, { signal }) => {
      signal.throwIfAborted();
      return lookUpRecords(current(), refs, query);
    },
    deleteFromTarget: async (refs, { signal }) => {
      signal.throwIfAborted();
      return deleteRecords(current(), refs);
    },
    changes: memoryChanges(store, journal),
    leases: {
      take: async (request, signal) => {
        signal.throwIfAborted();
        return current().leases.take(request);
      },
      release: async (request, signal) => {
        signal.throwIfAborted();
        existingStore(name)?.leases.release(request);
      },
    },
    ping: async (signal) => signal.throwIfAborted(),
    close: async () => {},
  };
}
