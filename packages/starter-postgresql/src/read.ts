import {
  assertAskableById,
  type IdRef,
  type LookUpOptions,
  type LookUpOutcome,
  type P2PQuery,
  type ParsedQuery,
  parseQuery,
  type ReadOptions,
  type RecordBatch,
  type SourceSchema,
} from "@omni/p2p-core/starter";
import { schemaOf } from "./client/declared-table.ts";
import type { PostgresqlStore } from "./client/store.ts";
import { partitionQuery } from "./query/partition.ts";
import { type Relation, Relations } from "./query/relation.ts";
import { countRecords } from "./reading/count.ts";
import { readKeyOrder } from "./reading/key-order.ts";
import { lookUpRecords } from "./reading/look-up.ts";
import { Scan } from "./reading/scan.ts";
import { readSorted } from "./reading/sorted.ts";

/** The way in for reading a table, a view or a native SELECT: batches, look-ups, counts and partitions. */
export class TableReader {
  readonly #store: PostgresqlStore;
  readonly #relations: Relations;

  constructor(store: PostgresqlStore) {
    this.#store = store;
    this.#relations = new Relations(store);
  }

  async *read(query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    const { signal } = options;
    signal.throwIfAborted();
    const parsed = parseQuery(query);
    const relation = await this.#relations.open(parsed, signal);
    if (parsed.orderBy.length > 0) yield* readSorted(this.#store, relation, parsed, options);
    else yield* readKeyOrder(new Scan(this.#store, relation, parsed), options);
  }

  /** What the table declares; nothing for views and native SELECTs, which declare no table's form. */
  async schema(query: P2PQuery, signal: AbortSignal): Promise<SourceSchema | undefined> {
    const parsed = parseQuery(query);
    const { table } = await this.#relations.open(parsed, signal);
    const isStored = table.type === "table" || table.type === "partitioned";
    return isStored ? schemaOf(table, parsed.fields && new Set(parsed.fields)) : undefined;
  }

  async count(query: P2PQuery, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    const parsed = parseQuery(query);
    return countRecords(this.#store, await this.#relations.open(parsed, signal), parsed, signal);
  }

  async lookUp(refs: readonly IdRef[], query: P2PQuery, { signal }: LookUpOptions): Promise<LookUpOutcome[]> {
    signal.throwIfAborted();
    const parsed = parseQuery(query);
    assertAskableById(parsed);
    return lookUpRecords(this.#store, await this.#relations.open(parsed, signal), refs, parsed, signal);
  }

  async partitions(query: P2PQuery, parts: number, signal: AbortSignal): Promise<readonly P2PQuery[]> {
    signal.throwIfAborted();
    const parsed = parseQuery(query);
    return partitionQuery(this.#store, await this.#look(parsed, signal), query, parsed, parts, signal);
  }

  /** With all that the catalogue says at this moment, sizes included. */
  #look(query: ParsedQuery, signal: AbortSignal): Promise<Relation> {
    return Object.keys(query.native).length > 0 ? this.#relations.open(query, signal) : this.#relations.look(signal);
  }
}
