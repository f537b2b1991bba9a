import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type EndpointInput,
  type JsonValue,
  type P2PDataTransferService,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadFailure,
  type RecordBatch,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import Database from "better-sqlite3";
import { afterEach } from "vitest";
import { sqliteStarter } from "../src/index.ts";

const cleanups: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

/** Runs when the test is over. */
export function cleanUp(clean: () => void | Promise<void>): void {
  cleanups.push(clean);
}

/** A folder that is gone after the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "p2p-sqlite-"));
  cleanUp(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A database file made by the SQL given, as another program would make it. */
export function databaseWith(sql: string, fill?: (db: Database.Database) => void): string {
  const file = join(temporaryFolder(), "test.db");
  const db = new Database(file);
  db.exec(sql);
  fill?.(db);
  db.close();
  return file;
}

/** What stands in a file, as another program sees it. */
export function query(file: string, sql: string): unknown[] {
  const db = new Database(file, { readonly: true });
  try {
    return db.prepare(sql).all();
  } finally {
    db.close();
  }
}

export const calm = (): AbortSignal => new AbortController().signal;

export async function open(
  endpoint: EndpointInput,
  role: "source" | "target",
  connectTimeoutMs = 2000,
): Promise<P2PDataTransferService> {
  const service = await sqliteStarter.open(parseEndpoint(endpoint), { role, signal: calm(), connectTimeoutMs });
  cleanUp(() => service.close());
  return service;
}

/** An endpoint of a file, with options. */
export function at(file: string, metadata: Record<string, unknown> = {}): EndpointInput {
  return { storageType: "sqlite", database: file, metadata };
}

export interface ReadAll {
  readonly records: P2PRecord[];
  readonly failures: ReadFailure[];
  readonly batches: RecordBatch[];
}

export async function readAll(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: { batchSize?: number; batchBytes?: number; after?: JsonValue } = {},
): Promise<ReadAll> {
  const batches: RecordBatch[] = [];
  const read = { batchSize: 3, ...options, signal: calm() };
  for await (const batch of service.readFromSource(query, read)) batches.push(batch);
  return {
    batches,
    records: batches.flatMap((batch) => batch.records),
    failures: batches.flatMap((batch) => batch.failures ?? []),
  };
}

/** All records of a table, opened and closed for this. */
export async function recordsIn(file: string, metadata: Record<string, unknown> = {}): Promise<P2PRecord[]> {
  const service = await open(at(file, metadata), "source");
  const { records } = await readAll(service);
  await service.close();
  return records;
}

export async function write(
  service: P2PDataTransferService,
  records: readonly P2PRecord[],
  mode: WriteMode = "upsert",
): Promise<WriteResult> {
  return service.writeToTarget(records, { mode, signal: calm() });
}

/** A cursor or a partition as another process gets it. */
export function overTheWire<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The error that a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; retryable?: boolean }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}
