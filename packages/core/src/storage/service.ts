/** The adapter contract: what a starter gives, and what every call of it promises. */
import type { P2PError } from "../errors.ts";
import type { JsonValue } from "../model/json-value.ts";
import type { P2PId, P2PRecord } from "../model/record.ts";
import type { ValueType } from "../model/value-tree.ts";
import type { ChangeFeed, ChangeStatus } from "./change-feed.ts";
import type { CollectionList, CollectionName } from "./collections.ts";
import type { EndpointInfo } from "./endpoint.ts";
import type { IdRef } from "./id-ref.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { OptionSpecs } from "./options.ts";
import type { P2PQuery } from "./query.ts";

/**
 * The version of the contract in this file. Starters of version 1 still copy: their stores are opened as ones that do not
 * look up, do not delete and know no identity. The registry refuses a starter that was built for a later version.
 */
export const CONTRACT_VERSION = 2;

/**
 * What a record becomes when its id is there already:
 * `upsert` replaces the record, `insert` makes it a failure (`DUPLICATE_ID`), `skip` leaves the old one.
 */
export type WriteMode = "upsert" | "insert" | "skip";

/** How well a store keeps a kind of value: in a type of its own, by a documented tag, or not at all. */
export type ValueSupport = "native" | "tagged" | "unsupported";

/** What an adapter can do. Callers decide by it, so it must be true. */
export interface P2PCapabilities {
  /** A cursor can be used by another process, after any time in which the source was not changed. */
  readonly resumable: boolean;
  /** `count()` gives a number. */
  readonly countable: boolean;
  /** `partitions()` can give more than one part. */
  readonly partitionable: boolean;
  /** Most calls of `writeToTarget` that are useful at a time; 1 for a store with a single writer. */
  readonly writeConcurrency: number;
  /** A call of `writeToTarget` that throws has written nothing. */
  readonly atomicBatches: boolean;
  /** One open service may serve several connections at once. */
  readonly shareable: boolean;
  /** `lookUp` can be asked. Since contract 2. */
  readonly lookUp: boolean;
  /** `deleteFromTarget` can be asked. Since contract 2. */
  readonly deletes: boolean;
  /** There is a feed of changes. Since contract 2. */
  readonly changes: boolean;
  /** What becomes of each kind of value. */
  readonly valueTypes: Readonly<Record<ValueType, ValueSupport>>;
}

/** How to read. */
export interface ReadOptions {
  /** Records in a batch at most, 1 or more. */
  readonly batchSize: number;
  /** Bytes in a batch at most, roughly; a single larger record still comes, alone. Default: as the adapter likes. */
  readonly batchBytes?: number;
  /** The cursor of the last batch that need not be read again. `query.offset` does not apply then, and `query.limit` counts from there. */
  readonly after?: JsonValue | undefined;
  readonly signal: AbortSignal;
}

/** A record of the source that could not be made out. It counts as failed. */
export interface ReadFailure {
  /** The key in the source, as text. */
  readonly id: string;
  readonly error: P2PError;
}

/** A batch in the order of the source. */
export interface RecordBatch {
  /** Owned by the receiver: the adapter keeps no reference to them. */
  readonly records: P2PRecord[];
  /** Points after the last record of this batch. Plain JSON that survives the process. */
  readonly cursor: JsonValue;
  readonly failures?: readonly ReadFailure[];
  /** Of each record what its {@link IdRef} needs besides the id, in stores where an id alone does not lead to it. */
  readonly locators?: readonly (JsonValue | undefined)[];
  /** Size of the records in the source, where it is known without further work. */
  readonly bytes?: number;
  /**
   * The adapter vouches that every record is valid: its id is neither null nor empty, and no value is one that
   * `recordTrouble` would find fault with. It is not looked at again then. Default `false`.
   */
  readonly valid?: boolean;
  /**
   * The adapter vouches that no two records of all that the query gives share the text of an id ({@link idKey}) that is one
   * of these records': the transfer then need not look for ids that come twice, which costs a little for each record.
   * Leave it out where a text could be that of two (1 and "1" in a column of any type). Default `false`.
   */
  readonly distinct?: boolean;
}

/**
 * What a source declares of its records (types, keys), so that a target of its kind can make the like of it. It is plain
 * JSON, and holds no values of records.
 */
export interface SourceSchema {
  /** Names the form of the definition, for instance `sqlite:table`. A target that does not know it takes no notice. */
  readonly format: string;
  readonly definition: JsonValue;
  /** The names of declared fields, as records have them, and whether no record can have another. Optional. */
  readonly fields?: { readonly names: readonly string[]; readonly complete: boolean };
}

/** How to write. */
export interface WriteOptions {
  readonly mode: WriteMode;
  readonly signal: AbortSignal;
  /** What the source declares of these records, where it tells and no transform has changed them. A hint for what the target makes. */
  readonly schema?: SourceSchema;
}

/** One record that was not written. */
export interface WriteFailure {
  /** Its place in the array given to `writeToTarget`. */
  readonly index: number;
  readonly id: P2PId | undefined;
  /** With `retryable` set when this very record may be written later. */
  readonly error: P2PError;
}

/** What became of the records: `written + skipped + failures.length` is their number. */
export interface WriteResult {
  readonly written: number;
  /** Left alone because the id was there (`mode: "skip"`). */
  readonly skipped: number;
  readonly failures: readonly WriteFailure[];
  /** Bytes sent, where known. Default: what the transfer estimates the written records to be. */
  readonly bytes?: number;
  /**
   * Of a {@link SequentialTarget}: where it stands after these records. Small, plain JSON, kept in the checkpoint. Absent where
   * nothing can be taken back, as of a pipe: such a transfer is not resumed.
   */
  readonly position?: JsonValue;
}

/** How a {@link SequentialTarget} begins. */
export interface BeginOptions {
  /** The position to go on from: what was written after it is dropped. Absent: it begins anew. */
  readonly after?: JsonValue | undefined;
  /** The position of an earlier run that nobody will resume any more, and whose unfinished work can go. */
  readonly abandoned?: JsonValue | undefined;
  /** Whether the run can be resumed, so that unfinished work is worth keeping when the target is closed. */
  readonly resumable: boolean;
  readonly signal: AbortSignal;
}

/**
 * A target that is written from its beginning to its end and shows nothing of it before, such as a file: records cannot be
 * replaced, so a transfer that is resumed takes back what was not acknowledged. A transfer calls `begin`, writes batches one
 * after the other in the order of the source, and calls `finish`; and it never writes in parts.
 */
export interface SequentialTarget {
  /**
   * Makes ready to write. Called once before the first record of each transfer, and also where there will be none.
   *
   * @throws P2PError `TARGET_EXISTS`, `TARGET_NOT_WRITABLE`; `CHECKPOINT_MISMATCH` where there is no going on from the position.
   */
  begin(options: BeginOptions): Promise<void>;
  /** Makes sure that what was written survives a loss of power; called before the checkpoint is made to. */
  flush(): Promise<void>;
  /** All records are written: makes them seen, safe from a loss of power. A run that is resumed may call it once more. */
  finish(signal: AbortSignal): Promise<void>;
}

/** How to look records up. */
export interface LookUpOptions {
  readonly signal: AbortSignal;
}

/**
 * What became of one look-up:
 * - `wanted`: the record is there and the query gives it, with just these fields;
 * - `unwanted`: a record of this id is there, and the query does not give it;
 * - `absent`: there is none. Only the store's clear word counts; whatever is not sure is `failed`;
 * - `failed`: it cannot be told, for instance since the record could not be read. `retryable` says whether to ask again.
 */
export type LookUpOutcome =
  | { readonly state: "wanted"; readonly record: P2PRecord; readonly locator?: JsonValue }
  | { readonly state: "unwanted" }
  | { readonly state: "absent" }
  | { readonly state: "failed"; readonly error: P2PError };

/** A record to delete. */
export interface DeleteRef extends IdRef {
  /**
   * The digest (`recordDigest`) of the record as it was last read from this store: one that is not so any more stays, and
   * is told as changed. Default: it is deleted as it is.
   */
  readonly expected?: string;
}

/** How to delete. */
export interface DeleteOptions {
  readonly signal: AbortSignal;
}

/** What became of the refs: `deleted + absent + changed.length + failures.length` is their number. */
export interface DeleteResult {
  readonly deleted: number;
  /** Those of which no record was there: no error. */
  readonly absent: number;
  /** Places in the array of those whose record is not the expected one. They stay as they are. */
  readonly changed: readonly number[];
  readonly failures: readonly WriteFailure[];
}

/**
 * A batch in the store's own form; see {@link RawSource}. The core cannot look at a document, so one whose record
 * `recordTrouble` would find fault with must be among `failures`.
 */
export interface RawBatch {
  /** Owned by the receiver. What they are only the two ends know. */
  readonly documents: unknown[];
  /** As in {@link RecordBatch}, and interchangeable with its cursors. */
  readonly cursor: JsonValue;
  readonly failures?: readonly ReadFailure[];
  /** Size of the documents. It bounds the memory of a transfer, so it must be there. */
  readonly bytes: number;
}

/**
 * Reading without making records: for a transfer between two stores of one kind that has no transform, so that a
 * document need not be taken apart and put together again.
 *
 * The same query gives the same documents in the same order as `readFromSource` gives records, with the same cursors.
 */
export interface RawSource {
  /** Names the form of the documents, for instance `elasticsearch:hit`. */
  readonly format: string;
  read(query: P2PQuery, options: ReadOptions): AsyncIterable<RawBatch>;
  /** The record that `readFromSource` would have given, for a dead letter. */
  decode(document: unknown): P2PRecord;
  /**
   * The canonical text of the document's id, where the target keeps documents by it and that is cheap to tell: the
   * transfer then finds documents that take each other's place. Optional.
   */
  idText?(document: unknown): string;
}

/**
 * Tells the thing behind an endpoint (a table of a file, a collection, an index, a keyspace) from all others, those of the
 * same name included. Texts are compared for equality and shown to people; they hold no secret.
 */
export interface StoreIdentity {
  /**
   * Which thing it is, however it is reached: two ends of one storage type with equal `thing` are one, also through a
   * symbolic link, another host name or another user. Absent where the store cannot tell.
   */
  readonly thing?: string;
  /** Where it is made of several, as a pattern of files is: the `thing` of each. Two ends that have one in common are refused. */
  readonly things?: readonly string[];
  /**
   * Changes when the thing is dropped and made anew, restored or replaced; stays the same through writes, restarts and
   * changes of the schema. Absent where the store cannot tell, and while the thing does not exist yet.
   */
  readonly incarnation?: string;
  /**
   * An equal `incarnation` proves that the thing was neither dropped nor replaced nor emptied meanwhile. Default `false`: a few
   * records that were read or written are asked for as well.
   */
  readonly certain?: boolean;
  /** Records vanish by themselves (a time to live, an eviction), so that it tells nothing when they are gone. Default `false`. */
  readonly volatile?: boolean;
}

/** A source that knows its size in bytes, and not in records: progress is told by it. */
export interface SourceExtent {
  /** Bytes that the query reads in all, as they are stored; `undefined` where nobody can tell. */
  total(query: P2PQuery): number | undefined;
  /** Bytes before a cursor of such a read. */
  before(cursor: JsonValue): number;
}

/** Writing what a {@link RawSource} read, with the outcome that `writeToTarget` would have had for the records. */
export interface RawTarget {
  /** Whether documents in this form can be written as they are, given this target's own options. */
  accepts(format: string): boolean;
  /** As `writeToTarget`; `index` is the place in `documents`, and documents are never changed. */
  write(documents: readonly unknown[], options: WriteOptions): Promise<WriteResult>;
}

/**
 * An open store: what an adapter is, and all it is.
 *
 * Promises of the adapter:
 * - Reading is in a stable order, without gaps or repeats; the source is never loaded whole; paging is by key or cursor.
 * - A missing file, table, index or collection in the source throws `SOURCE_NOT_FOUND`; it is never an empty result.
 * - A failure of single records is told by index in the `WriteResult`; a thrown error means that the whole call failed
 *   (with `retryable` set when sending the same batch again may succeed). Adapters do not retry what the store refused;
 *   the transfer does. A client's own reconnecting is its business, within `connectTimeoutMs`.
 * - `mode: "upsert"` replaces the record, so writing the same batch twice leaves the same target.
 * - A service that is opened after a write was acknowledged reads what was written.
 * - A shareable service can be read several times at once.
 * - The signal is honoured: a call whose signal aborts rejects soon, with the signal's reason.
 * - Records given to `writeToTarget` are never changed; the adapter may keep them.
 *
 * Promises of the caller:
 * - `writeToTarget` gets 1 or more valid records, does not change them afterwards, and is called in parallel up to `capabilities.writeConcurrency`.
 * - After `close()` nothing else is called. `close()` may be called twice.
 */
export interface P2PDataTransferService {
  readonly capabilities: P2PCapabilities;
  readFromSource(query: P2PQuery, options: ReadOptions): AsyncIterable<RecordBatch>;
  writeToTarget(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult>;
  /** A shorter way to another store of this kind; used when the other end accepts its format and nothing transforms. */
  readonly rawSource?: RawSource;
  /** The other end of it. */
  readonly rawTarget?: RawTarget;
  /** What the source declares of the records that the query gives. Asked before they are read. Optional. */
  schema?(query: P2PQuery, signal: AbortSignal): Promise<SourceSchema | undefined>;
  /** How many records the query gives, or `undefined` when only reading would tell. */
  count(query: P2PQuery, signal: AbortSignal): Promise<number | undefined>;
  /** At most `parts` queries that are disjoint and together the whole; the query itself alone when it cannot be parted. */
  partitions(query: P2PQuery, parts: number, signal: AbortSignal): Promise<readonly P2PQuery[]>;
  /** Present where the size is known in bytes, for progress where records cannot be counted. Optional. */
  readonly extent?: SourceExtent;
  /**
   * What tells the thing behind the endpoint from another of the same name, as it is at this moment: asked anew each
   * time, since the thing may have been replaced while it was open. A store that can tell nothing gives `{}`. A duty since
   * contract 2.
   */
  identity(signal: AbortSignal): Promise<StoreIdentity>;
  /**
   * The record in the form in which it is compared: where a value is a serialisation that the store makes differently from
   * time to time (the dump of a hash table), what it means. Given the records of either side, and what it has made
   * itself; whatever it does not know it gives back as it is. Optional.
   */
  comparable?(record: P2PRecord): P2PRecord;
  /**
   * The text that two ids share exactly when a record of the one would replace a record of the other in this store.
   * Default: {@link idKey}. Optional.
   */
  idForm?(id: P2PId): string;
  /**
   * Looks at the records with these ids, in batches of the store's own (never one round trip a record): `outcomes[i]` is
   * that of `refs[i]`. The store itself says whether the query wants a record, by the translation that reading uses, so
   * that both always agree.
   *
   * The record of a ref is the one that `readFromSource` gives with this very id; if there is none, one whose id has the same
   * text (`idKey`), so that an id which another store gave back in another form is found too (1 for "1").
   * The order of the query is of no matter. Present where `capabilities.lookUp` is true; since contract 2.
   *
   * @throws P2PError `UNSUPPORTED_QUERY` for `limit`, `offset`, and a native query that cannot be asked by id; a failure of
   * the whole call, which says nothing of any record.
   */
  lookUp?(refs: readonly IdRef[], query: P2PQuery, options: LookUpOptions): Promise<readonly LookUpOutcome[]>;
  /**
   * Deletes the records which `writeToTarget` would replace if it were given records with these ids, in batches of the
   * store's own. A ref that comes twice is deleted once and absent once. Once it has returned, the id is gone for every
   * reader that opens later. Present where `capabilities.deletes` is true; since contract 2.
   *
   * @throws P2PError when the whole call failed; some may be deleted then, and asking again does no harm.
   */
  deleteFromTarget?(refs: readonly DeleteRef[], options: DeleteOptions): Promise<DeleteResult>;
  /** Present where the target is written from its beginning to its end; `writeToTarget` is then called between `begin` and `finish`. Optional. */
  readonly sequential?: SequentialTarget;
  /** What the store tells of its changes, however they were made. Present where `capabilities.changes` is true, and elsewhere where it can tell why not; since contract 2. */
  readonly changes?: ChangeFeed;
  /** Leases of a target, so that a second follow of one id is refused on another host too. Optional. */
  readonly leases?: LeaseKeeper;
  /** Asks the store for a sign of life; rejects with a connection error when there is none. */
  ping(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** What a starter is told when it opens an endpoint. */
export interface OpenContext {
  /** A source is opened for reading alone where the store knows the difference, and must exist. */
  readonly role: "source" | "target";
  /** Aborts when opening is given up, at `connectTimeoutMs` at the latest. */
  readonly signal: AbortSignal;
  /** The time in which the store must answer, in milliseconds; also for waits on locks. */
  readonly connectTimeoutMs: number;
}

/** What a starter is told when it describes what would become of records. */
export interface DescribeContext extends OpenContext {
  /** What the source declares of these records, as the target would find it in {@link WriteOptions.schema}. Optional; since contract 2. */
  readonly schema?: SourceSchema | undefined;
}

/** A table, collection, index or keyspace of a store, as people want to see it. */
export interface InspectedCollection {
  readonly name: string;
  /** Records in it, where the store tells without reading them. */
  readonly records?: number;
  /** Fields with the store's own types, where it has a schema. */
  readonly fields?: readonly { readonly name: string; readonly type: string; readonly key?: boolean }[];
  /** Why it could not be looked at, or not wholly: a broken view, a missing module. The others are listed all the same. */
  readonly trouble?: string;
  /** The endpoint's metadata or database that leads to it, for instance `{ table: "docs" }`. */
  readonly endpoint?: { readonly database?: string; readonly metadata?: Readonly<Record<string, string>> };
}

/** What is behind an endpoint. */
export interface StoreInspection {
  /** For instance `Redis 7.0.15`. */
  readonly product: string;
  readonly collections: readonly InspectedCollection[];
}

/** What a field of some records would become in a store. */
export interface FieldMapping {
  readonly field: string;
  /** The kinds of value found in the sample. */
  readonly types: readonly ValueType[];
  /** The store's own type, for instance `TEXT` or `date`; where a tag or a sidecar carries a part of it, that is said. */
  readonly storedAs: string;
  /** Whether every value of the sample would come back equal, with its type. */
  readonly lossless: boolean;
  /** What would be refused or lost, and what to do. */
  readonly note?: string;
}

/** Turns the feed of an endpoint on and off, where it needs something in the store. */
export interface ChangeControl {
  status(endpoint: EndpointInfo, context: OpenContext): Promise<ChangeStatus>;
  /** Twice is no error. @throws P2PError `CHANGES_UNAVAILABLE` when it cannot be turned on, with the reason and the way out. */
  enable(endpoint: EndpointInfo, context: OpenContext): Promise<ChangeStatus>;
  /**
   * Takes away what `enable` and followers made. Twice is no error.
   *
   * @param follower only what is kept for this one. Default: everything.
   */
  disable(endpoint: EndpointInfo, context: OpenContext, follower?: string): Promise<ChangeStatus>;
}

/** What a starter knows of the collections behind an endpoint that names a database alone. */
export interface CollectionCatalogue {
  /**
   * Lists them, without reading records.
   *
   * @throws P2PError `INVALID_ENDPOINT` where the endpoint names a collection already; and as `open` does.
   */
  list(endpoint: EndpointInfo, context: OpenContext): Promise<CollectionList>;
  /**
   * The endpoint of one collection, be it there or not. A store without namespaces makes one name of both.
   *
   * @throws P2PError `INVALID_ENDPOINT` where the endpoint names a collection already, or none can have this name.
   */
  endpointOf(endpoint: EndpointInfo, name: CollectionName): EndpointInfo;
  /** The text that two names share where they are one collection, in a store that does not tell all of them apart. Default: the name. */
  nameForm?(name: string): string;
  /** How many collections are worth writing at a time, where nobody says it. Default 4. */
  readonly jobs?: number;
  /**
   * Keeps open what the collections of a database share (a pool of connections, a file) until the function that it gives is called:
   * they are opened and closed one after the other meanwhile, at less cost. Optional.
   *
   * @throws as `open` does.
   */
  hold?(endpoint: EndpointInfo, context: OpenContext): Promise<() => Promise<void>>;
  /** Puts off the checks of a target's foreign keys, for collections that refer to each other in a circle. Optional. */
  readonly foreignKeys?: ForeignKeyChecks;
}

/** Foreign keys that are not checked while records are written, and looked at afterwards. */
export interface ForeignKeyChecks {
  /** The endpoint of a target whose writes are not checked. Where the user may not do that, opening it throws. */
  unchecked(endpoint: EndpointInfo): EndpointInfo;
  /** What else such writes leave undone, in words that fit before "of docs": "triggers and rules". Default: nothing. */
  readonly alsoOff?: string;
  /** How many records of a collection name others that are not there. */
  violations(endpoint: EndpointInfo, context: OpenContext): Promise<number>;
}

/** What a starter package exports: how to open endpoints of one storage type. */
export interface P2PStarter {
  readonly storageType: string;
  /** {@link CONTRACT_VERSION} of the core the starter was built for. */
  readonly contractVersion: number;
  /** The options it takes in an endpoint's metadata. */
  readonly options: OptionSpecs;
  /** What its stores can do with the default options; an open service tells of its own store. */
  readonly capabilities?: P2PCapabilities;
  /**
   * What it opens is the same in every thread and process, as a file or a server is: a comparison may then read it in a
   * worker thread, which loads the starter anew and opens the endpoint once more. Default `false`.
   */
  readonly threads?: boolean;
  /**
   * Opens the endpoint and makes sure that it answers. Whatever was opened is closed again when it throws.
   *
   * @throws P2PError `INVALID_ENDPOINT`, `SOURCE_NOT_FOUND`, `TARGET_NOT_WRITABLE`, `CONNECTION_FAILED`,
   * `AUTHENTICATION_FAILED` or `TIMEOUT`.
   */
  open(endpoint: EndpointInfo, context: OpenContext): Promise<P2PDataTransferService>;
  /**
   * The endpoint of a target with what it leaves open taken from its source, for instance the name of a table. Asked
   * before either is opened; a source that cannot be opened tells so then, and not here. Optional.
   */
  completeTarget?(target: EndpointInfo, source: EndpointInfo, context: OpenContext): Promise<EndpointInfo>;
  /**
   * Looks at a store without reading its records: the endpoint need not name a table or collection.
   *
   * @throws as `open` does.
   */
  inspect?(endpoint: EndpointInfo, context: OpenContext): Promise<StoreInspection>;
  /**
   * What the records would become if they were written to the endpoint. Opens for reading at most, and writes nothing.
   *
   * @throws as `open` and the first write would.
   */
  describeMapping?(
    endpoint: EndpointInfo,
    sample: readonly P2PRecord[],
    context: DescribeContext,
  ): Promise<readonly FieldMapping[]>;
  /** Turns the feed of an endpoint on and off, and tells how it stands. Optional. */
  readonly changes?: ChangeControl;
  /** Lists the collections of a database, for whoever wants all or some of them. Optional. */
  readonly collections?: CollectionCatalogue;
}
