import { P2PError, type P2PQuery, type P2PRecord } from "../../src/index.ts";
import {
  type DeleteRef,
  type DeleteResult,
  type IdRef,
  idKey,
  type LookUpOutcome,
  matches,
  type P2PCapabilities,
  type P2PDataTransferService,
  type P2PId,
  parseQuery,
  pickFields,
  type ReadOptions,
  type RecordBatch,
  recordDigest,
  type StoreIdentity,
  type WriteOptions,
  type WriteResult,
} from "../../src/starter.ts";
import { ScriptedStore } from "./scripted-store.ts";

/** A call that is about to be done. */
export type LiveCall = "read" | "lookUp" | "write" | "delete" | "identity";

/** A store of contract 2 in memory that others change while it is read: a hook comes before each call, and may throw. */
export class LiveStore implements P2PDataTransferService {
  readonly capabilities: P2PCapabilities = { ...new ScriptedStore().capabilities, lookUp: true, deletes: true };
  readonly content = new Map<string, P2PRecord>();
  before: (call: LiveCall, refs: readonly IdRef[]) => unknown = () => {};
  /** Comes after a write or a delete was done, before it is answered. */
  after: (call: LiveCall) => unknown = () => {};
  /** What look-ups answer in place of what is there. */
  answer: (outcome: LookUpOutcome, ref: IdRef) => LookUpOutcome = (outcome) => outcome;
  deleted: (id: string) => unknown = () => {};
  incarnation: string | undefined = "1";
  unreadable = new Set<string>();
  writes = 0;
  deletes = 0;

  /** Given by a store to which `1` and `"1"` are two ids. */
  readonly idForm?: (id: P2PId) => string;
  readonly #keyOf: (id: P2PId) => string;

  constructor(records: readonly P2PRecord[] = [], idForm?: (id: P2PId) => string) {
    if (idForm) this.idForm = idForm;
    this.#keyOf = idForm ?? idKey;
    for (const record of records) this.content.set(this.#keyOf(record.id), record);
  }

  #find(id: P2PId): P2PRecord | undefined {
    const very = this.content.get(this.#keyOf(id));
    if (very || !this.idForm) return very;
    return [...this.content.values()].find((record) => idKey(record.id) === idKey(id));
  }

  get records(): P2PRecord[] {
    return [...this.content.keys()].sort().map((key) => this.content.get(key)!);
  }

  async identity(): Promise<StoreIdentity> {
    await this.before("identity", []);
    return { certain: true, ...(this.incarnation !== undefined && { incarnation: this.incarnation }) };
  }

  async *readFromSource(query: P2PQuery, { batchSize, after, signal }: ReadOptions): AsyncGenerator<RecordBatch> {
    const { conditions, fields, limit } = parseQuery(query);
    let last = (after as string | undefined) ?? "";
    for (let left = limit; left > 0; ) {
      await this.before("read", []);
      signal.throwIfAborted();
      const keys = [...this.content.keys()].filter((key) => key > last).sort();
      const page = keys.slice(0, batchSize);
      if (page.length === 0) return;
      last = page.at(-1)!;
      const records = page
        .filter((key) => !this.unreadable.has(key))
        .map((key) => this.content.get(key)!)
        .filter((record) => matches(conditions, record))
        .slice(0, left)
        .map((record) => structuredClone(pickFields(record, fields)));
      const failures = page
        .filter((key) => this.unreadable.has(key))
        .map((id) => ({ id, error: new P2PError("READ_FAILED", "it cannot be made out") }));
      left -= records.length;
      yield { records, cursor: last, ...(failures.length > 0 && { failures }) };
    }
  }

  async lookUp(refs: readonly IdRef[], query: P2PQuery): Promise<readonly LookUpOutcome[]> {
    await this.before("lookUp", refs);
    const { conditions, fields, native } = parseQuery(query);
    if (Object.keys(native).length > 0) throw new P2PError("UNSUPPORTED_QUERY", "it cannot be asked by id");
    return refs.map((ref): LookUpOutcome => {
      const record = this.#find(ref.id);
      if (record && this.unreadable.has(idKey(ref.id))) {
        return { state: "failed", error: new P2PError("READ_FAILED", "it cannot be made out") };
      }
      if (!record) return this.answer({ state: "absent" }, ref);
      if (!matches(conditions, record)) return this.answer({ state: "unwanted" }, ref);
      return this.answer({ state: "wanted", record: structuredClone(pickFields(record, fields)) }, ref);
    });
  }

  async writeToTarget(records: readonly P2PRecord[], _: WriteOptions): Promise<WriteResult> {
    await this.before("write", records);
    for (const record of records) this.content.set(this.#keyOf(record.id), structuredClone(record) as P2PRecord);
    this.writes += records.length;
    await this.after("write");
    return { written: records.length, skipped: 0, failures: [] };
  }

  async deleteFromTarget(refs: readonly DeleteRef[]): Promise<DeleteResult> {
    await this.before("delete", refs);
    const result = this.applyDelete(refs);
    await this.after("delete");
    return result;
  }

  applyDelete(refs: readonly DeleteRef[]): DeleteResult {
    const changed: number[] = [];
    let deleted = 0;
    for (const [index, { id, expected }] of refs.entries()) {
      const record = this.content.get(this.#keyOf(id));
      if (!record) continue;
      if (expected !== undefined && recordDigest(record) !== expected) {
        changed.push(index);
        continue;
      }
      this.content.delete(this.#keyOf(id));
      this.deleted(idKey(id));
      deleted++;
    }
    this.deletes += deleted;
    return { deleted, absent: refs.length - deleted - changed.length, changed, failures: [] };
  }

  async count(): Promise<number> {
    return this.content.size;
  }

  async partitions(query: P2PQuery): Promise<readonly P2PQuery[]> {
    return [query];
  }

  async ping(): Promise<void> {}

  async close(): Promise<void> {}
}
