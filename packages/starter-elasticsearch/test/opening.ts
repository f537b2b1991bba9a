import {
  type EndpointInput,
  type OpenContext,
  type P2PDataTransferService,
  type P2PQuery,
  type P2PRecord,
  type P2PStarter,
  parseEndpoint,
  type ReadOptions,
  type RecordBatch,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { onTestFinished } from "vitest";
import { elasticsearchStarter } from "../src/index.ts";
import { freshIndex } from "./fresh-index.ts";

/** A signal that never aborts. */
export const calm = (): AbortSignal => new AbortController().signal;

/** Opens an endpoint, and closes it when the test is over. */
export async function open(
  endpoint: EndpointInput,
  role: OpenContext["role"] = "target",
  settings: { readonly connectTimeoutMs?: number; readonly starter?: P2PStarter } = {},
): Promise<P2PDataTransferService> {
  const { connectTimeoutMs = 10_000, starter = elasticsearchStarter } = settings;
  const service = await starter.open(parseEndpoint(endpoint), { role, signal: calm(), connectTimeoutMs });
  onTestFinished(() => service.close());
  return service;
}

/** An index for this test alone, which is removed after it. */
export function testIndex(serverUrl: string): { readonly index: string; readonly endpoint: string } {
  const { index, endpoint, dispose } = freshIndex(serverUrl);
  onTestFinished(dispose);
  return { index, endpoint };
}

export function write(
  service: P2PDataTransferService,
  records: readonly P2PRecord[],
  mode: WriteMode = "upsert",
): Promise<WriteResult> {
  return service.writeToTarget(records, { mode, signal: calm() });
}

export async function readBatches(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal: calm(), ...options })) {
    batches.push(batch);
  }
  return batches;
}

export async function read(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<P2PRecord[]> {
  return (await readBatches(service, query, options)).flatMap(({ records }) => records);
}

/** What a promise was rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string; retryable?: boolean }> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it was not rejected");
}
