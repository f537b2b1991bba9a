import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PCapabilities,
  type P2PDataTransferService,
  P2PError,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { findTarget } from "./client/target-file.ts";
import { fileOptions, parseFileEndpoint } from "./endpoint.ts";
import { formatOf } from "./formats/formats.ts";
import { describeFileMapping, inspectFiles } from "./inspecting/inspect.ts";
import { countRecords, readBatches } from "./read.ts";
import { partitionQuery } from "./reading/partitions.ts";
import { FileSource } from "./reading/source.ts";
import { fileCapabilities } from "./types.ts";
import { beginTarget } from "./write.ts";

/** Opens `file:<path>` endpoints: files, globs and pipes. */
export const fileStarter: P2PStarter = {
  storageType: "file",
  contractVersion: CONTRACT_VERSION,
  options: fileOptions,
  capabilities: fileCapabilities,
  async open(endpoint, context) {
    return context.role === "source" ? openSource(endpoint, context) : openTarget(endpoint, context);
  },
  async inspect(endpoint, { signal }) {
    signal.throwIfAborted();
    return inspectFiles(parseFileEndpoint(endpoint), signal);
  },
  async describeMapping(endpoint, sample, { signal }) {
    signal.throwIfAborted();
    return describeFileMapping(parseFileEndpoint(endpoint), sample);
  },
};

async function openSource(endpoint: EndpointInfo, { signal }: OpenContext): Promise<P2PDataTransferService> {
  signal.throwIfAborted();
  const source = await FileSource.open(parseFileEndpoint(endpoint));
  const { isPipe, format } = source;
  const capabilities: P2PCapabilities = {
    ...fileCapabilities,
    resumable: !isPipe,
    countable: (format.count !== undefined && !isPipe) || source.expectedRecords !== undefined,
    partitionable: !isPipe,
    shareable: !isPipe,
    valueTypes: format.valueTypes,
  };
  return {
    capabilities,
    readFromSource: (query, options) => readBatches(source, query, options),
    writeToTarget: () =>
      Promise.reject(
        new P2PError("INVALID_STATE", `${source.endpoint.label} was opened to be read, and is not written`),
      ),
    ...(format.comparable && { comparable: (record) => format.comparable!(record) }),
    extent: source.extent,
    count: (query, signal) => countRecords(source, query, signal),
    partitions: (query, parts, signal) => partitionQuery(source, query, parts, signal),
    identity: async (signal) => {
      signal.throwIfAborted();
      return source.identity();
    },
    ping: async (signal) => signal.throwIfAborted(),
    close: async () => {},
  };
}

async function openTarget(endpoint: EndpointInfo, { signal }: OpenContext): Promise<P2PDataTransferService> {
  signal.throwIfAborted();
  const parsed = parseFileEndpoint(endpoint);
  const { path, label } = parsed;
  const format = formatOf(parsed);
  const target = beginTarget(parsed, format);
  const place = path === "-" ? undefined : await findTarget(path, label);
  return {
    capabilities: { ...fileCapabilities, resumable: place?.isStream === false, valueTypes: format.valueTypes },
    // What a target holds is asked of a source of the same endpoint, which exists once it is whole.
    async *readFromSource(query, options) {
      yield* readBatches(await FileSource.open(parsed), query, options);
    },
    writeToTarget: (records, options) => target.write(records, options),
    sequential: target,
    ...(format.comparable && { comparable: (record) => format.comparable!(record) }),
    count: async (query, signal) => countRecords(await FileSource.open(parsed), query, signal),
    partitions: async (query) => [query],
    identity: async (signal) => {
      signal.throwIfAborted();
      return target.identity();
    },
    ping: async (signal) => signal.throwIfAborted(),
    close: () => target.close(),
  };
}
