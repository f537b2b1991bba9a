import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager, type TransferOptions, type TransferResult } from "@omni/p2p-core";
import {
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadOptions,
  type RecordBatch,
} from "@omni/p2p-core/starter";
import { afterEach } from "vitest";
import { fileStarter } from "../src/index.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const clean of cleanups.splice(0).reverse()) clean();
});

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "p2p-file-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file with this content; gives its path. */
export function fileWith(content: string | Uint8Array, name = "in.ndjson", folder = temporaryFolder()): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

export const calm = (): AbortSignal => new AbortController().signal;

export function openSource(url: string) {
  return fileStarter.open(parseEndpoint(url), { role: "source", signal: calm(), connectTimeoutMs: 10_000 });
}

/** All batches of a file. */
export async function batchesOf(
  url: string,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<RecordBatch[]> {
  const source = await openSource(url);
  const batches: RecordBatch[] = [];
  for await (const batch of source.readFromSource(query, { batchSize: 100, signal: calm(), ...options }))
    batches.push(batch);
  await source.close();
  return batches;
}

/** All records of a file, and what could not be made out. */
export async function read(url: string, query?: P2PQuery): Promise<{ records: P2PRecord[]; failures: string[] }> {
  const batches = await batchesOf(url, query);
  return {
    records: batches.flatMap(({ records }) => records),
    failures: batches.flatMap(({ failures = [] }) => failures.map(({ error }) => `${error.code}: ${error.message}`)),
  };
}

/** A transfer between two files. */
export async function transfer(from: string, to: string, options: TransferOptions = {}): Promise<TransferResult> {
  await using manager = new DefaultP2PConnectionManager();
  manager.registerService("file", fileStarter);
  const connection = await manager.establish(from, to);
  return await connection.transfer({}, { deadLetters: false, ...options });
}
