import { setTimeout as sleep } from "node:timers/promises";
import { P2PError, type P2PRecord, type P2PStarter } from "@omni/p2p-core";
import { boundService } from "@omni/p2p-core/engine";
import { CONTRACT_VERSION, type P2PDataTransferService, type WriteOptions } from "@omni/p2p-core/starter";
import { memoryStarter, memoryStore } from "@omni/p2p-starter-memory";
import { onTestFinished } from "vitest";
import {
  createTransferWorker,
  DistributedTransfer,
  type DistributedTransferOptions,
  type TransferWorkerOptions,
} from "../src/index.ts";

let spaces = 0;

/** Everything that a test needs of the engine, under a prefix of its own. */
export function engine(connection: string) {
  const space = `${process.pid}-${++spaces}`;
  const prefix = `{test-${space}}`;
  const endpoints = { from: `memory:from-${space}`, to: `memory:to-${space}`, slow: `slow:to-${space}` };
  const worker = (options: Partial<TransferWorkerOptions> = {}) => {
    const made = createTransferWorker({
      connection,
      prefix,
      endpoints,
      starters: [memoryStarter, slowStarter],
      ...options,
    });
    onTestFinished(() => made.close());
    return made;
  };
  const transfers = (options: Partial<DistributedTransferOptions> = {}) => {
    const made = new DistributedTransfer({ connection, prefix, ...options });
    onTestFinished(() => made.close());
    return made;
  };
  return { prefix, endpoints, worker, transfers, source: `from-${space}`, target: `to-${space}` };
}

/** Puts records into a memory store. */
export async function fill(name: string, count: number, more: (at: number) => object = () => ({})): Promise<void> {
  const service = await memoryStarter.open(
    { endpointId: name, storageType: "memory", database: name },
    { role: "target", signal: new AbortController().signal, connectTimeoutMs: 1000 },
  );
  const records = Array.from({ length: count }, (_, at): P2PRecord => ({ id: at, text: `text ${at}`, ...more(at) }));
  if (count > 0) await service.writeToTarget(records, { mode: "upsert", signal: new AbortController().signal });
  await service.close();
}

/** How many records a memory store holds. */
export function sizeOf(name: string): number {
  return memoryStore(name).size;
}

/** A memory store whose writes take a while, and which refuses records that say so. */
export const slowStarter: P2PStarter = {
  storageType: "slow",
  contractVersion: CONTRACT_VERSION,
  options: {},
  async open(endpoint, context) {
    const store = await memoryStarter.open({ ...endpoint, storageType: "memory" }, context);
    const slow: P2PDataTransferService = {
      ...boundService(store),
      capabilities: { ...store.capabilities, writeConcurrency: 4 },
      writeToTarget: (records, options) => slowWrite(store, records, options),
    };
    return slow;
  },
};

async function slowWrite(store: P2PDataTransferService, records: readonly P2PRecord[], options: WriteOptions) {
  await sleep(20, undefined, { signal: options.signal });
  const good = records.filter(({ refuse }) => refuse !== true);
  const refused = records.flatMap((record, index) =>
    record.refuse === true ? [{ index, id: record.id, error: new P2PError("TYPE_MISMATCH", "it does not fit") }] : [],
  );
  if (good.length === 0) return { written: 0, skipped: 0, failures: refused };
  const { written, skipped } = await store.writeToTarget(good, options);
  return { written, skipped, failures: refused };
}
