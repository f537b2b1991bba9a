/** The inside of the worker thread that writes. */
// The worker thread that a target is written by: see threaded-writer.ts, which begins it.
import { parentPort, workerData } from "node:worker_threads";
import type { WriteResult } from "@omni/p2p-core/starter";
import { openAgain } from "../client/open.ts";
import { packError } from "../client/packed-error.ts";
import { unpackRecords } from "../values/packed-records.ts";
import { TableWriter } from "./table-writer.ts";
import { TransactionQueue } from "./transaction-queue.ts";
import type { FromThread, PackedResult, ThreadData, ToThread } from "./writer-messages.ts";

/**
 * Pages of the write-ahead log that are moved into the file in one go: 64 MB of pages of 4 KB. With keys in no order,
 * pages of an index are written again and again, and are moved once for all of these times. Moving so many takes a tenth
 * of a second, which only a thread of its own can take: elsewhere SQLite's 1,000 pages stand.
 */
const CHECKPOINT_PAGES = 16_000;

const { endpoint, table, patienceMs, inode } = workerData as ThreadData;
const port = parentPort!;
const running = new Map<number, AbortController>();

const store = await openAgain(endpoint, patienceMs, inode);
store.db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
const transactions = new TransactionQueue(store);
const writer = new TableWriter(store, table, transactions);

const tell = (message: FromThread) => port.postMessage(message);

async function write({ batch, records, mode, schema }: ToThread & { kind: "write" }): Promise<void> {
  const controller = new AbortController();
  running.set(batch, controller);
  try {
    const result = await writer.write(unpackRecords(records), {
      mode,
      signal: controller.signal,
      ...(schema && { schema }),
    });
    tell({ kind: "written", batch, result: packResult(result) });
  } catch (error) {
    tell({ kind: "failed", batch, error: packError(error, "WRITE_FAILED") });
  } finally {
    running.delete(batch);
  }
}

function packResult({ written, skipped, failures }: WriteResult): PackedResult {
  return {
    written,
    skipped,
    failures: failures.map(({ index, error }) => ({ index, error: packError(error, "WRITE_FAILED") })),
  };
}

port.on("message", async (message: ToThread) => {
  if (message.kind === "write") await write(message);
  else if (message.kind === "abort") running.get(message.batch)?.abort();
  else {
    await transactions.settled();
    store.close();
    port.close();
  }
});
tell({ kind: "ready" });
