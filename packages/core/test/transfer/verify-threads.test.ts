import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { installedStarters, loadStarter, openService } from "../../src/engine.ts";
import { type EndpointInput, parseEndpoint, verify } from "../../src/index.ts";
import type { P2PDataTransferService } from "../../src/starter.ts";
import { BucketDigests } from "../../src/transfer/verify/buckets.ts";
import { printRecord, SipHashFingerprinter } from "../../src/transfer/verify/fingerprint.ts";
import { ThreadedDigests } from "../../src/transfer/verify/threaded-digests.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";

/** A project that has the starters: the core itself has none. */
const PROJECT = join(import.meta.dirname, "../../../../tools/mirror");
const RETRY = { maxRetries: 0, retryDelay: 1, maxRetryDelay: 1, autoReconnect: false, reconnectTimeout: 1 };
const KEY = new Uint8Array(16).fill(7);

let folder: string;
let opened: P2PDataTransferService[];
let workers: Worker[];
const note = (worker: Worker) => void workers.push(worker);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "threads-"));
  opened = [];
  workers = [];
  process.on("worker", note);
});
afterEach(async () => {
  process.off("worker", note);
  for (const store of opened) await store.close();
  await Promise.all(workers.map((worker) => worker.terminate()));
  rmSync(folder, { recursive: true });
});

/** `place` is another order than that of the ids. */
function fill(name: string, rows: number): void {
  const file = new DatabaseSync(join(folder, name));
  file.exec("PRAGMA journal_mode = WAL; CREATE TABLE docs (id TEXT PRIMARY KEY, title TEXT, place INTEGER); BEGIN");
  const insert = file.prepare("INSERT INTO docs VALUES (?, ?, ?)");
  for (let at = 0; at < rows; at++) insert.run(String(at).padStart(8, "0"), `Title ${at}`, (at * 7919) % rows);
  file.exec("COMMIT");
  file.close();
}

async function openFile(name: string, more: Record<string, unknown> = {}) {
  const input: EndpointInput = {
    storageType: "sqlite",
    database: join(folder, name),
    metadata: { table: "docs", ...more },
  };
  const endpoint = parseEndpoint(input);
  const installed = installedStarters(PROJECT).find(({ storageType }) => storageType === "sqlite")!;
  const signal = new AbortController().signal;
  const service = await openService(await loadStarter(installed), endpoint, {
    role: "source",
    timeoutMs: 10_000,
    signal,
  });
  opened.push(service);
  return { service, endpoint };
}

const sideOf = (service: P2PDataTransferService, signal = new AbortController().signal) => ({
  ...{ service, query: {}, batchSize: 100, retry: RETRY, signal, mayBeAbsent: false },
});

async function ready(thread: ThreadedDigests): Promise<void> {
  thread.begin();
  while (!thread.isReady) await sleep(10);
}

describe("a side that is read in a thread", () => {
  it("has the digests that it has here, from a cursor on, and tells how it gets on", async () => {
    fill("a.db", 3000);
    const { service } = await openFile("a.db");
    const prints = new SipHashFingerprinter(KEY);
    const [whole, parts] = [new BucketDigests(), new BucketDigests()];
    let after: unknown;
    for await (const batch of service.readFromSource({}, sideOf(service))) {
      for (const record of batch.records) whole.add(printRecord(prints, record, record));
      if (after === undefined) for (const record of batch.records) parts.add(printRecord(prints, record, record));
      after ??= batch.cursor;
    }
    const thread = ThreadedDigests.of(sideOf(service), KEY)!;
    await ready(thread);
    let seen = 0;
    const rest = await thread.digest(after as never, (more) => {
      seen += more;
    });
    thread.close();
    expect(rest).toBeDefined();
    parts.merge(rest!);
    expect([parts.count, seen]).toEqual([3000, 2900]);
    expect(parts.unequalBuckets(whole).size).toBe(0);
    await once(workers[0]!, "exit");
  });

  it("gives the error of the store, with its code", async () => {
    fill("a.db", 300);
    const { service } = await openFile("a.db");
    const thread = ThreadedDigests.of(sideOf(service), KEY)!;
    await ready(thread);
    await expect(thread.digest({ of: "another store" }, () => {})).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
    });
    thread.close();
  });

  it("ends with the comparison, and gives nothing when it ended by itself", async () => {
    fill("a.db", 300);
    const { service } = await openFile("a.db");
    const stop = new AbortController();
    const thread = ThreadedDigests.of(sideOf(service, stop.signal), KEY)!;
    await ready(thread);
    const { value: first } = await service.readFromSource({}, sideOf(service))[Symbol.asyncIterator]().next();
    const { cursor } = first!;
    const digesting = thread.digest(cursor, () => {});
    stop.abort(new Error("enough"));
    await expect(digesting).rejects.toThrow("enough");
    thread.close();
    const other = ThreadedDigests.of(sideOf(service), KEY)!;
    await ready(other);
    const lost = other.digest(cursor, () => {});
    await workers[1]!.terminate();
    expect(await lost).toBeUndefined();
    other.close();
  });

  it("is read here where no other thread can have the store", async () => {
    fill("a.db", 300);
    expect(ThreadedDigests.of(sideOf(new ScriptedStore(records(5))), KEY)).toBeUndefined();
    const { service } = await openFile("a.db");
    rmSync(join(folder, "a.db"));
    const thread = ThreadedDigests.of(sideOf(service), KEY)!;
    const begun = once(process, "worker") as Promise<[Worker]>;
    thread.begin();
    const [worker] = await begun;
    await once(worker, "message");
    expect(thread.isReady).toBe(false);
    thread.close();
  });

  it("takes part where the orders have nothing in common, finds what differs, and can be done without", async () => {
    const rows = 60_000;
    fill("a.db", rows);
    fill("b.db", rows);
    const [source, target] = [await openFile("a.db"), await openFile("b.db")];
    const compare = (threads: "auto" | "never", query = {}) =>
      verify(source, target, { orderBy: [{ field: "place" }], ...query }, { threads, batchSize: 200 });
    expect(await compare("auto")).toMatchObject({ equal: true, sourceCount: rows, targetCount: rows });
    expect(workers).toHaveLength(1);
    expect(await compare("never")).toMatchObject({ equal: true, sourceCount: rows });
    expect(await verify(source, target, {})).toMatchObject({ equal: true, sourceCount: rows });
    expect(workers).toHaveLength(1);
    const file = new DatabaseSync(join(folder, "b.db"));
    file.exec("UPDATE docs SET title = 'other' WHERE id = '00059999'; DELETE FROM docs WHERE id = '00059998'");
    file.close();
    expect(await compare("auto")).toMatchObject({ equal: false, different: 1, missing: 1, extra: 0 });
    expect(workers).toHaveLength(2);
  });
});
