import { realpath, stat } from "node:fs/promises";
import { CONTRACT_VERSION, P2PError, type P2PStarter, type StoreIdentity } from "@omni/p2p-core/starter";
import { type JsonFilesEndpoint, jsonFilesOptions, parseJsonFilesEndpoint, STORAGE_TYPE } from "./endpoint.ts";
import { countRecords, partitionQuery, readBatches } from "./read.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { jsonFilesCapabilities } from "./types.ts";
import { writeRecords } from "./write.ts";
import { deleteRecords } from "./writing/delete.ts";

/**
 * Opens `json-files:<folder>` endpoints: every record is a JSON file.
 *
 * @example
 * ```ts
 * manager.registerService("json-files", jsonFilesStarter);
 * await manager.establish("sqlite:./knowledge.db?table=docs", "json-files:./docs?indent=2");
 * ```
 */
export const jsonFilesStarter: P2PStarter = {
  storageType: STORAGE_TYPE,
  contractVersion: CONTRACT_VERSION,
  options: jsonFilesOptions,
  async open(given, { role, signal }) {
    signal.throwIfAborted();
    const endpoint = parseJsonFilesEndpoint(given);
    const { folder } = endpoint;
    await assertFolder(endpoint, role);
    return {
      capabilities: jsonFilesCapabilities,
      readFromSource: (query, options) => readBatches(folder, query, options),
      writeToTarget: (records, options) => writeRecords(endpoint, records, options),
      count: (query, signal) => countRecords(folder, query, signal),
      partitions: async (query, parts, signal) => {
        signal.throwIfAborted();
        return partitionQuery(query, parts);
      },
      identity: async (signal) => {
        signal.throwIfAborted();
        return identityOf(folder);
      },
      lookUp: (refs, query, options) => lookUpRecords(folder, refs, query, options.signal),
      deleteFromTarget: (refs, options) => deleteRecords(endpoint, refs, options.signal),
      ping: async (signal) => {
        signal.throwIfAborted();
        await assertFolder(endpoint, role);
      },
      // Nothing stays open between two calls.
      close: async () => {},
    };
  },
};

/** A source must be there; a target is made when the first record comes, but must not be a file. */
async function assertFolder({ folder, label }: JsonFilesEndpoint, role: "source" | "target"): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() || (role === "target" && found === undefined)) return;
  throw role === "source"
    ? new P2PError("SOURCE_NOT_FOUND", `There is no folder ${folder} for ${label}`)
    : new P2PError("TARGET_NOT_WRITABLE", `${label} is a file; name a folder`);
}

/** A folder that is made anew has another inode, or at least another time of birth. */
async function identityOf(folder: string): Promise<StoreIdentity> {
  const found = await stat(folder, { bigint: true }).catch(() => undefined);
  if (!found) return { thing: folder };
  return {
    thing: await realpath(folder),
    incarnation: `${found.dev}:${found.ino}:${found.birthtimeNs}`,
  };
}
