import {
  isP2PError,
  type P2PDataTransferService,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadFailure,
  type ReadOptions,
} from "@omni/p2p-core/starter";
import { redisStarter } from "../src/index.ts";

/** A signal that never aborts. */
export function calm(): AbortSignal {
  return new AbortController().signal;
}

/** Opens an endpoint as the manager does. */
export function openAt(
  url: string,
  role: "source" | "target" = "target",
  metadata: Readonly<Record<string, unknown>> = {},
  connectTimeoutMs = 5000,
): Promise<P2PDataTransferService> {
  const endpoint = parseEndpoint(url);
  return redisStarter.open(
    { ...endpoint, metadata: { ...endpoint.metadata, ...metadata } },
    { role, signal: calm(), connectTimeoutMs },
  );
}

/** Everything that a query gives. */
export interface Reading {
  readonly records: P2PRecord[];
  readonly failures: ReadFailure[];
  readonly batches: number;
}

/** Reads a query to its end. */
export async function readAll(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  options: Partial<ReadOptions> = {},
): Promise<Reading> {
  const records: P2PRecord[] = [];
  const failures: ReadFailure[] = [];
  let batches = 0;
  for await (const batch of service.readFromSource(query, { batchSize: 100, signal: calm(), ...options })) {
    batches++;
    records.push(...batch.records);
    failures.push(...(batch.failures ?? []));
  }
  return { records, failures, batches };
}

/** Upserts records, all of which must be written. */
export async function writeAll(service: P2PDataTransferService, records: readonly P2PRecord[]): Promise<void> {
  const result = await service.writeToTarget(records, { mode: "upsert", signal: calm() });
  if (result.failures[0]) throw result.failures[0].error;
}

/** The P2PError that a promise is rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<P2PError> {
  try {
    await promise;
  } catch (error) {
    if (isP2PError(error)) return error;
    throw error;
  }
  throw new P2PError("READ_FAILED", "it was not rejected");
}

/** The records by their ids, for comparing. */
export function byId(records: readonly P2PRecord[]): Record<string, P2PRecord> {
  return Object.fromEntries(records.map((record) => [String(record.id), record]));
}
