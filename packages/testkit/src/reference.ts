import { randomUUID } from "node:crypto";
import {
  assertAskableById,
  CONTRACT_VERSION,
  cloneValue,
  compareRecords,
  cursorPosition,
  type DeleteRef,
  type DeleteResult,
  encodeJson,
  type IdRef,
  idKey,
  type JsonValue,
  type LookUpOutcome,
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
  type ReadFailure,
  type ReadOptions,
  type RecordBatch,
  recordAt,
  recordDigest,
  type StoreIdentity,
  sortPosition,
  storeCursor,
  VALUE_TYPES,
  type WriteFailure,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";

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
  /**
   * Spoils a record of the place so that it cannot be read any more, as another user of the store would: a text that is no
   * JSON, a value of an unknown kind. Where it is absent, the checks that need it are printed as not run.
   */
  breakRecord?(id: P2PId): Promise<void>;
  /**
   * Changes something in a record of the place that its reader can see, as another user of the store would, by the store's own
   * client. Where it is absent, the check of what others change makes do with `deleteRecords`.
   */
  changeRecord?(id: P2PId): Promise<void>;
  /**
   * The endpoint of the database that the place is in, and the name of the place there. Where it is absent, the checks of the
   * starter's catalogue are printed as not run.
   */
  readonly database?: { readonly endpoint: import("@omni/p2p-core/starter").EndpointInput; readonly name: string };
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
  /** Canonical ids of records that cannot be read. */
  readonly broken = new Set<string>();

  override set(key: string, record: P2PRecord): this {
    this.broken.delete(key);
    return super.set(key, record);
  }
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
      return openShelf(shelf, name, () => shelves.get(name));
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
        breakRecord: async (id) => void shelves.get(database)?.broken.add(idKey(id)),
        dispose: async () => void shelves.delete(database),
      };
    },
  };
}

function openShelf(shelf: Shelf, name: string, current: () => Shelf | undefined): P2PDataTransferService {
  return {
    capabilities: {
      resumable: true,
      countable: true,
      partitionable: true,
      writeConcurrency: 4,
      atomicBatches: true,
      shareable: true,
      lookUp: true,
      deletes: true,
      changes: false,
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
    async identity(signal): Promise<StoreIdentity> {
      signal.throwIfAborted();
      const incarnation = current()?.incarnation;
      return { thing: name, certain: true, ...(incarnation !== undefined && { incarnation }) };
    },
    async lookUp(refs, query, { signal }) {
      signal.throwIfAborted();
      if (current() !== shelf) throw new P2PError("SOURCE_NOT_FOUND", `The shelf "${name}" was removed`);
      return lookUpOn(shelf, refs, query);
    },
    async deleteFromTarget(refs, { signal }) {
      signal.throwIfAborted();
      return deleteFrom(shelf, refs);
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
    const failures: ReadFailure[] = [];
    let bytes = 0;
    while (next < chosen.length && records.length + failures.length < options.batchSize) {
      const record = chosen[next]!;
      const size = encodeJson(record).length;
      if (records.length > 0 && bytes + size > (options.batchBytes ?? Infinity)) break;
      bytes += size;
      next++;
      if (shelf.broken.has(idKey(record.id))) failures.push({ id: idKey(record.id), error: unreadable(record.id) });
      else records.push(projectRecord(record, fields));
    }
    yield { records, failures, cursor: storeCursor(STORE, sortPosition(orderBy, chosen[next - 1]!)), bytes };
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

function unreadable(id: P2PId): P2PError {
  return new P2PError("READ_FAILED", `The record ${JSON.stringify(idKey(id))} cannot be read`);
}

/** Whether a query gives a record, its offset and limit apart. */
function wantedBy(query: P2PQuery): (record: P2PRecord) => boolean {
  const { conditions, native, partition } = parseQuery(query);
  const [foreign] = Object.keys(native);
  if (foreign !== undefined) throw new P2PError("UNSUPPORTED_QUERY", `native.${foreign} has no meaning here`);
  const { part, parts } = (partition ?? { part: 0, parts: 1 }) as { part: number; parts: number };
  return (record) => matches(conditions, record) && hash(idKey(record.id)) % parts === part;
}

/** The records that a query gives, in its order. */
function select(shelf: Shelf, query: P2PQuery): P2PRecord[] {
  const { orderBy, offset, limit } = parseQuery(query);
  const records = [...shelf.values()].filter(wantedBy(query));
  if (orderBy.length > 0) records.sort((a, b) => compareRecords(orderBy, a, b));
  return records.slice(offset, offset + limit);
}

function hash(text: string): number {
  let value = 7;
  for (let i = 0; i < text.length; i++) value = (value * 31 + text.charCodeAt(i)) % 1_000_003;
  return value;
}

/** What each id is to the query: the meaning of a look-up, written once. */
function lookUpOn(shelf: Shelf, refs: readonly IdRef[], query: P2PQuery): LookUpOutcome[] {
  const parsed = parseQuery(query);
  assertAskableById(parsed);
  const { fields } = parsed;
  const isWanted = wantedBy(query);
  return refs.map(({ id }) => {
    const record = shelf.get(idKey(id));
    if (record === undefined) return { state: "absent" };
    if (shelf.broken.has(idKey(id))) return { state: "failed", error: unreadable(id) };
    return isWanted(record) ? { state: "wanted", record: projectRecord(record, fields) } : { state: "unwanted" };
  });
}

/** Deletes what is as expected: the meaning of a delete, written once. */
function deleteFrom(shelf: Shelf, refs: readonly DeleteRef[]): DeleteResult {
  const changed: number[] = [];
  const failures: WriteFailure[] = [];
  let [deleted, absent] = [0, 0];
  for (const [index, { id, expected }] of refs.entries()) {
    const record = shelf.get(idKey(id));
    if (record === undefined) absent++;
    else if (expected !== undefined && shelf.broken.has(idKey(id))) failures.push({ index, id, error: unreadable(id) });
    else if (expected !== undefined && expected !== recordDigest(record)) changed.push(index);
    else {
      shelf.delete(idKey(id));
      deleted++;
    }
  }
  return { deleted, absent, changed, failures };
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
