import { DefaultP2PConnectionManager, type P2PRecord } from "@omni/p2p-core";
import { memoryStore } from "@omni/p2p-starter-memory";

/** A manager that finds the starters among the dependencies of this package. */
export function newManager(): DefaultP2PConnectionManager {
  return new DefaultP2PConnectionManager({ appRoot: import.meta.dirname, config: { connection_timeout: 5000 } });
}

/**
 * Fills a place with records of about 300 bytes.
 *
 * @param word what their text says: other words make other records of the same ids.
 */
export async function fill(place: string, records: number, word = "Line"): Promise<void> {
  const store = memoryStore("chaos-origin");
  store.clear();
  for (let i = 0; i < records; i++) {
    const record: P2PRecord = {
      id: `record-${String(i).padStart(8, "0")}`,
      number: i,
      text: `${word} ${i} `.repeat(20),
      at: new Date(1_600_000_000_000 + i * 1000),
      nested: { odd: i % 2 === 1, list: [i, i + 1] },
    };
    store.put(record);
  }
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish("memory:chaos-origin", place);
    const { failureCount, errors } = await manager.transferThroughConnection(connectionId, {}, { deadLetters: false });
    if (failureCount > 0) throw new Error(`The place could not be filled: ${errors[0]?.reason}`);
  } finally {
    await manager.close();
    store.clear();
  }
}

/** How many records a place holds. */
export async function countRecords(place: string): Promise<number> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(place, "memory:chaos-count");
    const { sourceCount } = await manager.verify(connectionId, {});
    return sourceCount;
  } finally {
    await manager.close();
  }
}

/** Says how two places differ, or nothing when they are equal. */
export async function differences(expected: string, actual: string): Promise<string | undefined> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(expected, actual);
    const { equal, missing, extra, different } = await manager.verify(connectionId, {});
    return equal ? undefined : `${missing} missing, ${extra} extra, ${different} different`;
  } finally {
    await manager.close();
  }
}
