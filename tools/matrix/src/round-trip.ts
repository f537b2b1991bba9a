import {
  type ConnectionConfigInput,
  DefaultP2PConnectionManager,
  type P2PRecord,
  type TransferOptions,
  type TransferResult,
} from "@omni/p2p-core";
import { type MemoryStore, memoryStore } from "@omni/p2p-starter-memory";
import { assertSameRecords } from "@omni/p2p-testkit";
import type { Places, Store } from "./stores.ts";

/** A manager that finds the starters among the dependencies of this package. */
export function newManager(
  config: ConnectionConfigInput = { connection_timeout: 30_000 },
): DefaultP2PConnectionManager {
  return new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config });
}

async function move(
  manager: DefaultP2PConnectionManager,
  from: string,
  to: string,
  options: TransferOptions = {},
): Promise<TransferResult> {
  const { connectionId } = await manager.establish(from, to);
  try {
    const result = await manager.transferThroughConnection(connectionId, {}, { deadLetters: false, ...options });
    const [first] = result.errors;
    if (first) throw new Error(`${result.failureCount} records failed, the first one with: ${first.reason}`);
    return result;
  } finally {
    await manager.closeConnection(connectionId);
  }
}

/**
 * Puts records into the first store, moves them to the second and back to a fresh place of the first, and compares
 * what came back with what is there, which must be the records themselves.
 *
 * @returns the result of the transfer from the first to the second store.
 * @throws when a record failed or came back changed, naming record, field and types.
 */
export async function roundTrip(
  manager: DefaultP2PConnectionManager,
  places: Places,
  from: Store,
  to: Store,
  records: readonly P2PRecord[],
  options: TransferOptions = {},
): Promise<TransferResult> {
  const [origin, seeded, there, back, end] = [
    places.fresh("memory"),
    places.fresh(from),
    places.fresh(to),
    places.fresh(from),
    places.fresh("memory"),
  ];
  for (const record of records) memoryIn(origin).put(record);
  await move(manager, origin, seeded, options);
  const result = await move(manager, seeded, there, options);
  await move(manager, there, back, options);
  await move(manager, back, end, options);
  assertSameRecords(memoryIn(end).records(), records);
  for (const place of [origin, end]) memoryIn(place).clear();
  return result;
}

/** The store behind a `memory:` URL. */
export function memoryIn(url: string): MemoryStore {
  return memoryStore(url.replace(/^memory:/, ""));
}
