// The child process in which is read what may never end: see reader-child.ts, which begins and kills it.
import { Worker } from "node:worker_threads";
import { decodeJson, encodeJson, type P2PQuery, type P2PValue } from "@omni/p2p-core/starter";
import { openReader } from "../client/open.ts";
import { packError } from "../client/packed-error.ts";
import { inspectHere } from "../inspecting/inspect.ts";
import { partitionQuery } from "../query/partition.ts";
import { unpackRecords } from "../values/packed-records.ts";
import { countRecords } from "./count.ts";
import { lookUpRecords } from "./look-up.ts";
import { packBatch, packOutcomes } from "./packed-answers.ts";
import { readBatches } from "./read-batches.ts";
import type { FromReader, ReaderRequest, ToReader } from "./reader-messages.ts";

// Ctrl-C goes to all processes of a terminal; the one that began this one decides what becomes of it.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
// SQLite may hold the thread for ever, so another one sees to it that this process does not outlive its parent.
new Worker(
  `const parent = ${process.ppid};
  setInterval(() => {
    try { process.kill(parent, 0); if (process.ppid === parent) return; } catch {}
    process.kill(process.pid, "SIGKILL");
  }, 500);`,
  { eval: true, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 16 } },
).unref();

const { signal } = new AbortController();
const tell = (message: FromReader) => process.send!(message);
let wanted: (() => void) | undefined;

async function answer(request: ReaderRequest): Promise<void> {
  if (request.kind === "inspect") {
    const context = { role: "source", signal, connectTimeoutMs: request.patienceMs } as const;
    tell({ kind: "done", value: await inspectHere(request.endpoint, context) });
    return;
  }
  const { endpoint, patienceMs, inode, table } = request;
  const query = decodeJson(request.query) as unknown as P2PQuery;
  const store = await openReader(endpoint, patienceMs, inode);
  try {
    if (request.kind === "count") {
      tell({ kind: "done", value: await countRecords(store, table, query, signal) });
    } else if (request.kind === "partitions") {
      const parts = await partitionQuery(store, table, query, request.parts, signal);
      tell({ kind: "done", value: encodeJson(parts as unknown as P2PValue) });
    } else if (request.kind === "lookUp") {
      tell({
        kind: "done",
        value: packOutcomes(await lookUpRecords(store, table, unpackRecords(request.ids), query, { signal })),
      });
    } else {
      const { batchSize, batchBytes, after } = request;
      const options = { batchSize, ...(batchBytes === undefined ? {} : { batchBytes }), after, signal };
      for await (const batch of readBatches(store, table, query, options)) {
        const next = new Promise<void>((resolve) => {
          wanted = resolve;
        });
        tell({ kind: "batch", batch: packBatch(batch) });
        await next;
      }
      tell({ kind: "done" });
    }
  } finally {
    store.close();
  }
}

process.on("message", (message: ToReader) => {
  if (message.kind === "next") wanted?.();
  else answer(message).catch((error: unknown) => tell({ kind: "failed", error: packError(error, "READ_FAILED") }));
});
tell({ kind: "ready" });
