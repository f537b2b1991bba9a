import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type OpenContext,
  type P2PDataTransferService,
  P2PError,
  type P2PStarter,
} from "@omni/p2p-core/starter";
import { fileOptions, parseFileEndpoint } from "./endpoint.ts";
import { FORMATS } from "./formats/formats.ts";
import { readBatches } from "./read.ts";
import { fileCapabilities } from "./types.ts";
import { writeRecords } from "./write.ts";

/** Opens `file:<path>` endpoints: files, globs and pipes. */
export const fileStarter: P2PStarter = {
  storageType: "file",
  contractVersion: CONTRACT_VERSION,
  options: fileOptions,
  capabilities: fileCapabilities,
  async open(endpoint, context) {
    return openFile(endpoint, context);
  },
};

function openFile(endpoint: EndpointInfo, context: OpenContext): P2PDataTransferService {
  context.signal.throwIfAborted();
  const { label, options } = parseFileEndpoint(endpoint);
  const format = FORMATS.find(({ name }) => name === options.format);
  if (format === undefined) throw new P2PError("UNSUPPORTED_OPERATION", `${label} has a format that is not there yet`);
  return {
    capabilities: { ...fileCapabilities, valueTypes: format.valueTypes },
    readFromSource: () => readBatches(label),
    writeToTarget: () => writeRecords(label),
    count: async () => undefined,
    partitions: async (query) => [query],
    identity: async () => ({}),
    ping: async (signal) => signal.throwIfAborted(),
    close: async () => {},
  };
}
