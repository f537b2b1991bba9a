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
  const parsed = parseFileEndpoint(endpoint);
  const source = await FileSource.open(parsed);
  const { isPipe, format } = source;
  // Files grow and are replaced between two reads of a store that stays open.
  const look = () => FileSource.open(parsed);
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
    async *readFromSource(query, options) {
      yield* readBatches(await look(), query, options);
    },
    writeToTarget: () =>
      Promise.reject(
        new P2PError("INVALID_STATE", `${source.endpoint.label} was opened to be read, and is not written`),
      ),
    ...(format.comparable && { comparable: (record) => format.comparable!(record) }),
    extent: source.extent,
    count: async (query, signal) => countRecords(await look(), query, signal),
    partitions: async (query, parts, signal) => partitionQuery(await look(), query, parts, signal),
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
  // What a target holds is asked of a source of the same endpoint, which exists once it is whole.
  const written = async () => {
    if (!target.isPipe) return FileSource.open(parsed);
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `What was written to ${label} cannot be read back, since it is a pipe; write a file to verify it`,
    );
  };
  return {
    capabilities: { ...fileCapabilities, resumable: place?.isStream === false, valueTypes: format.valueTypes },
    async *readFromSource(query, options) {
      yield* readBatches(await written(), query, options);
    },
    writeToTarget: (records, options) => target.write(records, options),
    sequential: target,
    ...(format.comparable && { comparable: (record) => format.comparable!(record) }),
    count: async (query, signal) => countRecords(await written(), query, signal),
    partitions: async (query) => [query],
    identity: async (signal) => {
      signal.throwIfAborted();
      return target.identity();
    },
    ping: async (signal) => signal.throwIfAborted(),
    close: () => target.close(),
  };
}
