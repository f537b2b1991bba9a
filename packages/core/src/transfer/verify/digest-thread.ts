// The worker thread that reads one side of a comparison and hashes it: see threaded-digests.ts, which begins and ends it.
import { parentPort, workerData } from "node:worker_threads";
import { isP2PError, messageOf } from "../../errors.ts";
import { fromJson } from "../../model/json.ts";
import type { JsonValue } from "../../model/json-value.ts";
import { loadStarter } from "../../storage/discovery.ts";
import { closeService, openService } from "../../storage/open-service.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { P2PDataTransferService } from "../../storage/service.ts";
import { BucketDigests } from "./buckets.ts";
import type { FromThread, PackedError, ThreadData, ToThread } from "./digest-messages.ts";
import { printRecord, SipHashFingerprinter } from "./fingerprint.ts";
import { readSide } from "./read.ts";

const { origin, query, batchSize, retry, timeoutMs, key } = workerData as ThreadData;
const port = parentPort!;
const ending = new AbortController();
const { signal } = ending;
const tell = (message: FromThread) => port.postMessage(message);
let opened: Promise<P2PDataTransferService>;

async function open(): Promise<P2PDataTransferService> {
  const starter = await loadStarter(origin.installed);
  return openService(starter, origin.endpoint, { role: "source", timeoutMs, signal });
}

async function digest(after: JsonValue): Promise<void> {
  const service = await opened;
  const prints = new SipHashFingerprinter(key);
  const digests = new BucketDigests();
  const side = { service, query: fromJson(query) as P2PQuery, batchSize, retry, signal, mayBeAbsent: false, after };
  for await (const { records, unread } of readSide(side)) {
    for (const record of records) {
      digests.add(printRecord(prints, record, service.comparable ? service.comparable(record) : record));
    }
    for (const { id } of unread) digests.addUnread(prints.spread(id));
    tell({ kind: "progress", records: records.length });
  }
  tell({ kind: "done", ...digests.packed() });
}

async function end(): Promise<void> {
  ending.abort(new Error("The comparison needs this thread no more"));
  await opened.then(closeService).catch(() => {});
  port.close();
}

function pack(thrown: unknown): PackedError {
  const message = messageOf(thrown);
  if (!isP2PError(thrown)) return { code: "READ_FAILED", message, retryable: false, cause: undefined };
  const { code, retryable, cause } = thrown;
  return { code, message, retryable, cause: cause === undefined ? undefined : messageOf(cause) };
}

const fail = (thrown: unknown) => tell({ kind: "failed", error: pack(thrown) });
port.on("message", (message: ToThread) => {
  if (message.kind === "end") void end();
  else digest(message.after).catch(fail);
});
opened = open();
opened.then(() => tell({ kind: "ready" }), fail);
