import { randomUUID } from "node:crypto";
import {
  CONTRACT_VERSION,
  cloneValue,
  compareRecords,
  cursorPosition,
  encodeJson,
  idKey,
  type JsonValue,
  matches,
  type P2PDataTransferService,
  P2PError,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  type P2PStarter,
  type ParsedQuery,
  parseOptions,
  parseQuery,
  projectRecord,
  type ReadOptions,
  type RecordBatch,
  recordAt,
  type StoreIdentity,
  sortPosition,
  storeCursor,
  type WriteFailure,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { VALUE_TYPES } from "./samples.ts";

/** A starter with a way to get places for it: what the suite runs against. */
export interface AdapterUnderTest {
  readonly starter: P2PStarter;
  /** Makes a fresh empty place that can be the target and then the source of a transfer. */
  createEndpoint(): Promise<ConformancePlace>;
}

/** One place made for a test. */
export interface ConformancePlace {
  readonly endpoint: import("@omni/p2p-core/starter").EndpointInput;
  /**
   * Deletes records of the place, as another user of the store would. Where it is absent, the checks that need it take a
   * second place that never had the records.
   */
  deleteRecords?(ids: readonly P2PId[]): Promise<void>;
  /** Removes the place and what is in it. */
  dispose?(): Promise<void>;
  /** Removes the thing alone (the table, collection, index, keys), which may then be made anew. Default: `dispose`. */
  remove?(): Promise<void>;
}

/** The storage type. */
const STORE = "reference";

/** Records by canonical id, in the order of their arrival. */
class Shelf extends Map<string, P2PRecord> {
  readonly incarnation = randomUUID();
}

/**
 * The simplest adapter that keeps the contract: records in a Map, every question answered by the core's own words
 * (`matches`, `compareRecords`, `projectRecord`). It is the other end where a law needs two stores, and the model for
 * whoever writes a first adapter. Not for use with real data: it looks at every record for every page.
 */
export function referenceAdapter(): AdapterUnderTest {
  const shelves = new Map<string, Shelf>();
  const starter: P2PStarter = {
    storageType: STORE,
    contractVersion: CONTRACT_VERSION,
    options: {},
    async open(endpoint, context) {
      context.signal.throwIfAborted();
      parseOptions({}, endpoint);
      const name = endpoint.database ?? "";
      const shelf = shelves.get(name) ?? new Shelf();
      if (context.role === "target") shelves.set(name, shelf);
      else if (!shelves.has(name)) {
        throw new P2PError("SOURCE_NOT_FOUND", `There is no shelf "${name}"; write to it first`);
      }
      return openShelf(shelf, () => {
        const incarnation = shelves.get(name)?.incarnation;
        return { thing: name, certain: true, ...(incarnation !== undefined && { incarnation }) };
      });
    },
  };
  let made = 0;
  return {
    starter,
    async createEndpoint() {
      const database = `shelf-${++made}`;
      return {
        endpoint: { storageType: STORE, database },
        deleteRecords: async (ids) => {
          for (const id of ids) shelves.get(database)?.delete(idKey(id));
        },
        dispose: async () => void shelves.delete(database),
      };
    },
  };
}

function openShelf(shelf: Shelf, identity: () => StoreIdentity): P2PDataTransferService {
  return {
    capabilities: {
      resumable: true,
      countable: true,
      partitionable: true,
      writeConcurrency: 4,
      atomicBatches: true,
      shareable: true,
      valueTypes: Object.fromEntries(VALUE_TYPES.map((type) => [type, "native"])) as never,
    },
    readFromSource: (query, options) => readShelf(shelf, query, options),
    async writeToTarget(records, { mode, signal }) {
      signal.throwIfAborted();
      return writeShelf(shelf, records, mode);
    },
    async count(query, signal) {
      signal.throwIfAborted();
      return select(shelf, query).length;
    },
    async partitions(query, parts, signal) {
      signal.throwIfAborted();
      const { orderBy, offset, limit, partition } = parseQuery(query);
      if (orderBy.length > 0 || offset > 0 || limit < Infinity || partition !== undefined) return [query];
      return Array.from({ length: parts }, (_, part) => ({ ...query, partition: { part, parts } }));
    },
    async identity(signal) {
      signal.throwIfAborted();
      return identity();
    },
    async ping(signal) {
      signal.throwIfAborted();
    },
    async close() {},
  };
}

async function* readShelf(shelf: Shelf, query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
  options.signal.throwIfAborted();
  const { limit, fields, offset, orderBy } = parseQuery(query);
  const all = select(shelf, { ...query, offset: 0, limit: Number.MAX_SAFE_INTEGER });
  const rest = options.after === undefined ? all.slice(offset) : all.slice(placeAfter(all, orderBy, options.after));
  const chosen = rest.slice(0, limit);
  let next = 0;
  while (next < chosen.length) {
    options.signal.throwIfAborted();
    const records: P2PRecord[] = [];
    let bytes = 0;
    while (next < chosen.length && records.length < options.batchSize) {
      const size = encodeJson(chosen[next]!).length;
      if (records.length > 0 && bytes + size > (options.batchBytes ?? Infinity)) break;
      bytes += size;
      records.push(projectRecord(chosen[next++]!, fields));
    }
    yield { records, cursor: storeCursor(STORE, sortPosition(orderBy, chosen[next - 1]!)), bytes };
  }
}

/**
 * Where reading goes on. In an order, with the first record that comes after the one that the cursor names; else behind
 * that record itself.
 */
function placeAfter(all: readonly P2PRecord[], orderBy: ParsedQuery["orderBy"], cursor: JsonValue): number {
  const last = recordAt(STORE, orderBy, cursorPosition(STORE, cursor));
  if (orderBy.length === 0) return all.findIndex(({ id }) => idKey(id) === idKey(last.id)) + 1;
  const next = all.findIndex((record) => compareRecords(orderBy, record, last) > 0);
  return next < 0 ? all.length : next;
}

/** The records that a query gives, in its order. */
function select(shelf: Shelf, query: P2PQuery): P2PRecord[] {
  const { conditions, orderBy, offset, limit, native, partition } = parseQuery(query);
  const [foreign] = Object.keys(native);
  if (foreign !== undefined) throw new P2PError("UNSUPPORTED_QUERY", `native.${foreign} has no meaning here`);
  let records = [...shelf.values()].filter((record) => matches(conditions, record));
  if (partition !== undefined) {
    const { part, parts } = partition as { part: number; parts: number };
    records = records.filter((record) => hash(idKey(record.id)) % parts === part);
  }
  if (orderBy.length > 0) records.sort((a, b) => compareRecords(orderBy, a, b));
  return records.slice(offset, offset + limit);
}

function hash(text: string): number {
  let value = 7;
  for (let i = 0; i < text.length; i++) value = (value * 31 + text.charCodeAt(i)) % 1_000_003;
  return value;
}

/** Writes as the mode says: the meaning of the modes, written once. */
export function writeShelf(shelf: Map<string, P2PRecord>, records: readonly P2PRecord[], mode: WriteMode): WriteResult {
  const failures: WriteFailure[] = [];
  let skipped = 0;
  for (const [index, record] of records.entries()) {
    const key = idKey(record.id);
    if (mode === "upsert" || !shelf.has(key)) shelf.set(key, cloneValue(record) as P2PRecord);
    else if (mode === "skip") skipped++;
    else {
      const error = new P2PError("DUPLICATE_ID", `The id ${JSON.stringify(key)} is there already`);
      failures.push({ index, id: record.id, error });
    }
  }
  return { written: records.length - skipped - failures.length, skipped, failures };
}
