import { type EndpointInput, type P2PConnectionManager, parseEndpoint, type TransferResult } from "@omni/p2p-core";

/** The table for exact copies, and the table for people. */
const [DUMPS, READABLE] = ["dumps", "readable"];

/** What a rescue did. */
export interface Rescue {
  /** Every key as the server packs it, with its time to live: what can be restored. */
  readonly dumps: TransferResult;
  /** The same keys as fields and lists: what can be looked into. */
  readonly readable: TransferResult;
}

/** Saves the keys of a Redis into a SQLite file, of every type. */
export async function rescue(manager: P2PConnectionManager, redis: EndpointInput, file: string): Promise<Rescue> {
  const exact = await manager.establish(asDumps(redis), tableOf(file, DUMPS));
  const shown = await manager.establish(redis, tableOf(file, READABLE));
  try {
    return {
      dumps: await manager.transferThroughConnection(exact.connectionId, {}),
      readable: await manager.transferThroughConnection(shown.connectionId, {}),
    };
  } finally {
    await exact.close();
    await shown.close();
  }
}

/** Brings the keys back, with what was left of their time to live. */
export async function restore(
  manager: P2PConnectionManager,
  file: string,
  redis: EndpointInput,
): Promise<TransferResult> {
  await using connection = await manager.establish(tableOf(file, DUMPS), asDumps(redis));
  // What has expired meanwhile stays away.
  return await manager.transferThroughConnection(
    connection.connectionId,
    {},
    {
      transform: (record) => (record.expires instanceof Date && record.expires.getTime() < Date.now() ? null : record),
    },
  );
}

/** The endpoint, read and written as dumps of whole keys. */
function asDumps(redis: EndpointInput): EndpointInput {
  const endpoint = parseEndpoint(redis);
  return { ...endpoint, metadata: { ...endpoint.metadata, format: "dump" } };
}

function tableOf(file: string, table: string): EndpointInput {
  return { storageType: "sqlite", database: file, metadata: { table } };
}
