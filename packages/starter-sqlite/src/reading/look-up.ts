import {
  assertAskableById,
  cloneValue,
  type IdRef,
  idKey,
  type LookUpOptions,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  type ParsedQuery,
  parseQuery,
  pickFields,
  recordTrouble,
  valuesEqual,
  Yielder,
} from "@omni/p2p-core/starter";
import { allOf, padded, powerOfTwo, type Sql, type SqlValue, whereClause } from "../client/sql.ts";
import type { SqliteStore } from "../client/store.ts";
import { storageOrder } from "../query/cursor.ts";
import { type IdCandidates, idCandidates, mayBeMissed, type StoredKey } from "../query/id-candidates.ts";
import { rowsAfter, rowsUpTo } from "../query/keyset.ts";
import { nativeCondition, parseNative } from "../query/native-query.ts";
import { parsePartition } from "../query/partition.ts";
import { openRelation, type Relation } from "../query/relation.ts";
import { SIDECAR } from "../types.ts";
import { INEXACT, type Row } from "../values/measure.ts";
import { RowPlan } from "../values/row-plan.ts";
import { makeScan, type Scan } from "./scan.ts";
import { readStorageOrder } from "./storage-order.ts";

/** Parameters of one statement on a table: a few milliseconds' work, after which the process has its turn. */
const TABLE_PARAMS = 4096;
/** Parameters of one statement on a view or a query, which SQLite may have to work out as a whole each time. */
const QUERY_PARAMS = 16_384;
/** SQLite takes no more. */
const MAX_PARAMS = 32_766;
/** Records of a page when a whole table is gone through. */
const SCAN_PAGE = 1000;

/** The rows whose ids have one text, as reading gives them. */
interface Found {
  /** Those that the query gives. */
  readonly wanted: P2PRecord[];
  /** The ids of all of them, where that was asked. */
  ids: P2PId[] | undefined;
}

/**
 * Point look-ups: what a query gives of some records. The condition is the one that reading puts into its statements, and
 * whatever SQL cannot say of it is held to the record as in reading.
 *
 * @throws P2PError `UNSUPPORTED_QUERY` for a limit or an offset.
 */
export async function lookUpRecords(
  store: SqliteStore,
  tableName: string,
  refs: readonly IdRef[],
  query: P2PQuery,
  { signal }: LookUpOptions,
): Promise<LookUpOutcome[]> {
  signal.throwIfAborted();
  const parsed = parseQuery(query);
  const native = parseNative(parsed);
  assertAskableById(parsed);
  store.assertSameFile();
  const relation = await store.patiently("read", signal, () => openRelation(store, tableName, native));
  const where = nativeCondition(native);
  const lookUp = new LookUp(store, relation, parsed, where, refs);
  const yielder = new Yielder();
  while (!lookUp.isOver) {
    await store.patiently("read", signal, () => store.snapshot(() => lookUp.step()));
    await yielder.yieldIfDue();
    signal.throwIfAborted();
  }
  await lookUp.scanForMissed(signal);
  return lookUp.outcomes();
}

class LookUp {
  readonly #store: SqliteStore;
  readonly #relation: Relation;
  readonly #query: ParsedQuery;
  readonly #where: Sql | undefined;
  readonly #scan: Scan;
  readonly #idPlan: RowPlan;
  readonly #candidates: IdCandidates;
  readonly #refs: readonly IdRef[];
  /** The ids that are looked up, by their texts. */
  readonly #asked = new Map<string, P2PId[]>();
  readonly #found = new Map<string, Found>();
  /** Texts with the keys that are still to be asked for. */
  readonly #queue: (readonly [text: string, keys: readonly StoredKey[]])[] = [];
  #next = 0;
  #exact = false;

  constructor(
    store: SqliteStore,
    relation: Relation,
    query: ParsedQuery,
    where: Sql | undefined,
    refs: readonly IdRef[],
  ) {
    const { table } = relation;
    this.#store = store;
    this.#relation = relation;
    this.#query = query;
    this.#where = where;
    this.#refs = refs;
    this.#scan = makeScan(store, relation, query, where, storageOrder(table), []);
    this.#idPlan = new RowPlan(table, new Set(), []);
    this.#candidates = idCandidates(table);
    for (const { id } of refs) {
      const text = idKey(id);
      const ids = this.#asked.get(text);
      if (ids !== undefined) ids.push(id);
      else {
        this.#asked.set(text, [id]);
        this.#queue.push([text, this.#candidates.keysOf(text)]);
      }
    }
  }

  get isOver(): boolean {
    return this.#next >= this.#queue.length;
  }

  /** Asks for as many ids as go into a statement. To be called in a snapshot. */
  step(): void {
    const range = this.#partition();
    const condition = allOf([range, this.#scan.condition]);
    const taken = this.#take(this.#relation.from.params.length + (condition?.params.length ?? 0));
    const batch = new Map(taken);
    const keys = taken.flatMap(([, its]) => its);
    if (keys.length === 0) {
      this.#next += taken.length;
      return;
    }
    const found = new Map<string, Found>();
    const foundOf = (text: string): Found => {
      const known = found.get(text) ?? { wanted: [], ids: undefined };
      found.set(text, known);
      return known;
    };
    this.#rows(this.#scan.plan, keys, condition, (sidecar, record) => {
      const text = idKey(record.id);
      if (!batch.has(text) || !this.#isWanted(sidecar, record)) return;
      foundOf(text).wanted.push(record);
    });
    const isFiltered = condition !== undefined || this.#scan.check !== "none";
    const unclear = isFiltered ? taken.filter(([text]) => !this.#isClear(text, found.get(text))) : [];
    const others = new Map(unclear);
    const otherKeys = unclear.flatMap(([, its]) => its);
    if (otherKeys.length > 0) {
      this.#rows(this.#idPlan, otherKeys, undefined, (_, { id }) => {
        const text = idKey(id);
        if (!others.has(text)) return;
        const its = foundOf(text);
        its.ids ??= [];
        its.ids.push(id);
      });
    }
    // Only now, when nothing of it can meet a lock any more.
    for (const [text, its] of found) this.#found.set(text, its);
    this.#next += taken.length;
  }

  /** The rows of the partition, as they are at this moment. */
  #partition(): Sql | undefined {
    const { table } = this.#relation;
    const { after, upTo } = parsePartition(this.#store, table, this.#query.partition);
    const order = storageOrder(table);
    return allOf([after && rowsAfter(order, after), upTo && rowsUpTo(order, upTo)]);
  }

  #take(otherParams: number): (readonly [string, readonly StoredKey[]])[] {
    const most = this.#relation.table.type === "table" ? TABLE_PARAMS : QUERY_PARAMS;
    const room = powerOfTwo(Math.min(most, MAX_PARAMS - otherParams) / this.#candidates.width);
    let keys = 0;
    let end = this.#next;
    while (end < this.#queue.length && keys + this.#queue[end]![1].length <= room)
      keys += this.#queue[end++]![1].length;
    return this.#queue.slice(this.#next, Math.max(end, this.#next + 1));
  }

  /** Whether what the query gives says all: each id that was asked for is among it with its very type, and only once. */
  #isClear(text: string, found: Found | undefined): boolean {
    if (found === undefined || !this.#relation.table.key.unique) return false;
    return this.#asked.get(text)!.every((id) => found.wanted.some((record) => valuesEqual(record.id, id)));
  }

  /** Holds a record to what SQL could not say of the conditions. */
  #isWanted(sidecar: SqlValue | undefined, record: P2PRecord): boolean {
    const { check, conditions } = this.#scan;
    const checked = check === "all" || (check === "sidecar" && sidecar !== null);
    return !checked || matches(conditions, record);
  }

  /** Goes through the rows with these keys that meet a condition. */
  #rows(
    plan: RowPlan,
    keys: readonly StoredKey[],
    condition: Sql | undefined,
    visit: (sidecar: SqlValue | undefined, record: P2PRecord) => void,
  ): void {
    const { from, table } = this.#relation;
    // As one value, in which SQLite looks for no other index than that of the key.
    const aside = condition && { ...condition, text: `+(${condition.text})` };
    const where = allOf([this.#candidates.condition(padded(keys, keys.at(-1)!)), aside])!;
    const hint = table.strangeIndexes ? " NOT INDEXED" : "";
    const sql = `SELECT ${plan.select} FROM ${from.text}${hint}${whereClause(where)}`;
    const rows = this.#measured(plan, sql, [...from.params, ...where.params]);
    for (const row of rows) {
      const sidecar = row[SIDECAR] as SqlValue | undefined;
      const record = plan.record(row, this.#exact);
      if (record !== undefined) visit(sidecar, record);
    }
  }

  #measured(plan: RowPlan, sql: string, params: readonly SqlValue[]): Row[] {
    const rows = this.#store.rows(sql, this.#exact).all(...params) as Row[];
    for (const row of rows) {
      if (plan.measure(row, this.#exact) !== INEXACT) continue;
      this.#exact = true;
      return this.#measured(plan, sql, params);
    }
    return rows;
  }

  /** Goes through the whole table for ids that no index leads to, and that have not been found otherwise. */
  async scanForMissed(signal: AbortSignal): Promise<void> {
    const { table } = this.#relation;
    const missed = new Set<string>();
    for (const [text] of this.#asked) {
      if (mayBeMissed(table, text) && !this.#isFound(text)) missed.add(text);
    }
    if (missed.size === 0) return;
    const all = { ...this.#query, orderBy: [] };
    const ids = { ...all, conditions: [], fields: [], partition: undefined };
    const there = await this.#scanFor(missed, ids, undefined, signal);
    if (there.length === 0) return;
    const wanted = await this.#scanFor(missed, all, this.#where, signal);
    for (const text of missed) {
      const of = ({ id }: P2PRecord) => idKey(id) === text;
      this.#found.set(text, { wanted: wanted.filter(of), ids: there.filter(of).map(({ id }) => id) });
    }
  }

  /** Whether each id that was asked for is there with its very type. */
  #isFound(text: string): boolean {
    const { wanted = [], ids = [] } = this.#found.get(text) ?? {};
    const there = [...ids, ...wanted.map((record) => record.id)];
    return this.#asked.get(text)!.every((id) => there.some((found) => valuesEqual(found, id)));
  }

  async #scanFor(
    texts: ReadonlySet<string>,
    query: ParsedQuery,
    where: Sql | undefined,
    signal: AbortSignal,
  ): Promise<P2PRecord[]> {
    const found: P2PRecord[] = [];
    const batches = readStorageOrder(this.#store, this.#relation, query, where, { batchSize: SCAN_PAGE, signal });
    for await (const { records } of batches) found.push(...records.filter(({ id }) => texts.has(idKey(id))));
    return found;
  }

  outcomes(): LookUpOutcome[] {
    const given = new Set<P2PRecord>();
    return this.#refs.map(({ id }) => {
      const outcome = this.#outcomeOf(id);
      if (outcome.state !== "wanted") return outcome;
      // Of an id that was asked for twice there are two records, each the caller's own.
      const record = given.has(outcome.record) ? cloneValue(outcome.record) : outcome.record;
      given.add(record);
      return { state: "wanted", record: pickFields(record, this.#scan.pick) };
    });
  }

  #outcomeOf(id: P2PId): LookUpOutcome {
    const { wanted, ids } = this.#found.get(idKey(id)) ?? { wanted: [], ids: [] };
    const itself = wanted.filter((record) => valuesEqual(record.id, id));
    const there = (ids ?? []).filter((found) => valuesEqual(found, id));
    if (itself.length > 1 || there.length > 1) return { state: "failed", error: this.#ambiguous(id) };
    if (there.length === 1 && itself.length === 0) return { state: "unwanted" };
    const record = itself[0] ?? wanted[0];
    if (record === undefined) return { state: (ids?.length ?? 0) > 0 ? "unwanted" : "absent" };
    const trouble = recordTrouble(record);
    if (trouble === undefined) return { state: "wanted", record };
    return { state: "failed", error: new P2PError("INVALID_RECORD", `${this.#store.endpoint.label}: ${trouble}`) };
  }

  #ambiguous(id: P2PId): P2PError {
    const { table } = this.#relation;
    return new P2PError(
      "READ_FAILED",
      `${this.#store.endpoint.label}: several rows of "${table.name}" have the id ${JSON.stringify(idKey(id)).slice(0, 80)}, ` +
        "so nobody can tell which is meant; name a unique key, or mend texts that are not valid UTF-8",
    );
  }
}
