/** Inspection: the files that are behind an endpoint, and what would become of records in one. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  endpointLabel,
  type FieldMapping,
  type InspectedCollection,
  messageOf,
  type P2PRecord,
  type StoreInspection,
  sampleFields,
} from "@omni/p2p-core/starter";
import { existsError, findTarget } from "../client/target-file.ts";
import type { FileEndpoint } from "../endpoint.ts";
import { formatByName, formatOf } from "../formats/formats.ts";
import { FileSource } from "../reading/source.ts";

/** The files of a folder whose names tell a format, or those that the endpoint names. */
export async function inspectFiles(endpoint: FileEndpoint, signal: AbortSignal): Promise<StoreInspection> {
  const paths = await filesOf(endpoint);
  const collections: InspectedCollection[] = [];
  for (const path of paths) {
    signal.throwIfAborted();
    collections.push(
      await inspectFile({ ...endpoint, path, label: endpointLabel({ storageType: "file", database: path }) }, signal),
    );
  }
  return { product: "Files", collections };
}

async function filesOf(endpoint: FileEndpoint): Promise<readonly string[]> {
  const { path } = endpoint;
  const isFolder =
    path !== "-" &&
    (await stat(path)
      .then((found) => found.isDirectory())
      .catch(() => false));
  if (!isFolder) return (await FileSource.open(endpoint)).files.map((file) => file.path);
  const names = await readdir(path, { withFileTypes: true });
  return names
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith(".") && formatByName(entry.name) !== undefined)
    .map(({ name }) => join(path, name))
    .sort();
}

async function inspectFile(endpoint: FileEndpoint, signal: AbortSignal): Promise<InspectedCollection> {
  const { path } = endpoint;
  const found: InspectedCollection = { name: path, endpoint: { database: path } };
  if (path === "-") return found;
  try {
    const source = await FileSource.open(endpoint);
    const { format, files } = source;
    if (!format.count && !format.schema) return found;
    await using open = await source.openInput(files[0]!, {}, signal);
    const records = await format.count?.(open.input);
    const fields = await format.schema?.(open.input);
    return { ...found, ...(records !== undefined && { records }), ...(fields && { fields }) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...found, trouble: messageOf(error) };
  }
}

/** @throws P2PError `TARGET_EXISTS`, `TARGET_NOT_WRITABLE` */
export async function describeFileMapping(
  endpoint: FileEndpoint,
  sample: readonly P2PRecord[],
): Promise<FieldMapping[]> {
  const { path, label, options } = endpoint;
  const { valueTypes, name } = formatOf(endpoint);
  if (path !== "-") {
    const { exists, isStream } = await findTarget(path, label);
    if (exists && !isStream && options.ifExists === "fail") throw existsError(label);
  }
  return sampleFields(sample).map(({ field, types }) => {
    const lost = types.filter((type) => valueTypes[type] === "unsupported");
    return {
      field,
      types,
      storedAs: [...new Set(types.map((type) => (valueTypes[type] === "native" ? name : `${name} with a tag`)))].join(
        ", ",
      ),
      lossless: lost.length === 0,
      ...(lost.length > 0 && { note: `${lost.join(" and ")} cannot be kept in ${name}; take ndjson, or a transform` }),
    };
  });
}
