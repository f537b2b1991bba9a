/** Point look-ups: what a query gives of some records, with the condition that reading puts into its statements. */
import {
  cloneValue,
  type IdRef,
  idKey,
  isP2PError,
  type LookUpOutcome,
  matches,
  P2PError,
  type P2PId,
  type P2PRecord,
  type ParsedQuery,
  recordTrouble,
  valuesEqual,
  Yielder,
} from "@omni/p2p-core/starter";
import { sqlState } from "../client/errors.ts";
import type { Row } from "../client/session.ts";
import type { PostgresqlStore } from "../client/store.ts";
import { IdCandidates, type StoredKey } from "../query/id-candidates.ts";
import { rowsAfter, rowsUpTo, storageOrder } from "../query/keyset.ts";
import { allOf, whereClause } from "../query/params.ts";
import { parsePartition } from "../query/partition.ts";
import type { Relation } from "../query/relation.ts";
import { isFailure, Scan } from "./scan.ts";

/** Ids of one statement on a table. */
const TABLE_IDS = 1000;
/** Ids of one statement on a view or a query, which the server may have to work out as a whole each time. */
const QUERY_IDS = 20_000;

/** One row with an id that was asked for. */
interface Found {
  readonly id: P2PId;
  readonly outcome: LookUpOutcome;
}

export async function lookUpRecords(
  store: PostgresqlStore,
  relation: Relation,
  refs: readonly IdRef[],
  query: ParsedQuery,
  signal: AbortSignal,
): Promise<LookUpOutcome[]> {
  const scan = new Scan(store, relation, { ...query, orderBy: [] });
  const lookUp = new LookUp(scan);
  const yielder = new Yielder();
  const candidates = new IdCandidates(relation.table);
  const keys = new Map<string, StoredKey>();
  for (const { id } of refs) {
    const text = idKey(id);
    if (keys.has(text)) continue;
    const key = candidates.keyOf(text);
    if (key !== undefined) keys.set(text, key);
  }
  const isStored = relation.table.type === "table" || relation.table.type === "partitioned";
  const most = isStored ? TABLE_IDS : QUERY_IDS;
  const all = [...keys];
  for (let at = 0; at < all.length; at += most) {
    await lookUp.ask(new Map(all.slice(at, at + most)), candidates, signal);
    await yielder.yieldIfDue();
    signal.throwIfAborted();
  }
  return lookUp.outcomes(refs);
}

/** Whether the database's encoding lacks a character of what it was asked. */
function isUntranslatable(error: unknown): boolean {
  return isP2PError(error) && sqlState(error.cause) === "22P05";
}

class LookUp {
  readonly #scan: Scan;
  readonly #found = new Map<string, Found[]>();

  constructor(scan: Scan) {
    this.#scan = scan;
  }

  /**
   * Asks for the rows with these keys, and of each whether the query gives it. A key with a character that the database's encoding lacks is
   * that of no row, and its text cannot even be sent.
   */
  async ask(keys: ReadonlyMap<string, StoredKey>, candidates: IdCandidates, signal: AbortSignal): Promise<void> {
    try {
      await this.#ask(keys, candidates, signal);
    } catch (error) {
      if (!isUntranslatable(error)) throw error;
      const all = [...keys];
      if (all.length === 1) {
        // It may be the query's own condition that cannot be sent.
        if (await this.#mayBeSent(all[0]![0], signal)) throw error;
        return;
      }
      await this.ask(new Map(all.slice(0, all.length >> 1)), candidates, signal);
      await this.ask(new Map(all.slice(all.length >> 1)), candidates, signal);
    }
  }

  async #mayBeSent(text: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#scan.store.query("read", signal, "SELECT pg_catalog.length($1::pg_catalog.text)", [text]);
      return true;
    } catch (error) {
      if (isUntranslatable(error)) return false;
      throw error;
    }
  }

  async #ask(keys: ReadonlyMap<string, StoredKey>, candidates: IdCandidates, signal: AbortSignal): Promise<void> {
    const { store, relation, query, plan, filter } = this.#scan;
    const order = storageOrder(relation.table);
    const { after, upTo } = parsePartition(relation.table, query.partition);
    const wanted = allOf([after && rowsAfter(order, after), upTo && rowsUpTo(order, upTo), filter.sql]);
    const params = relation.params();
    const where = whereClause(candidates.condition([...keys.values()]), params);
    // A value of the row, and no condition, so that no other index than the key's is thought of.
    const verdict = wanted === undefined ? "TRUE" : `(${wanted(params)}) IS TRUE`;
    const text = `SELECT ${plan.select.join(", ")}, ${verdict} FROM ${relation.from}${where}`;
    const { rows } = await store.query("read", signal, text, params.list);
    for (const row of rows) this.#add(row, row.pop() === "t", keys);
  }

  #add(row: Row, isWanted: boolean, asked: ReadonlyMap<string, unknown>): void {
    const scan = this.#scan;
    const record = scan.recordOf(row);
    if (isFailure(record)) {
      // Its id is told as text.
      if (!asked.has(record.id)) return;
      const outcome: LookUpOutcome = isWanted ? { state: "failed", error: record.error } : { state: "unwanted" };
      this.#offer(record.id, { id: record.id, outcome });
      return;
    }
    const text = idKey(record.id);
    if (!asked.has(text)) return;
    const holds = isWanted && (!scan.mustCheck(row) || matches(scan.query.conditions, record));
    this.#offer(text, { id: record.id, outcome: holds ? this.#wanted(record) : { state: "unwanted" } });
  }

  #wanted(record: P2PRecord): LookUpOutcome {
    const trouble = recordTrouble(record);
    if (trouble === undefined) return { state: "wanted", record: this.#scan.picked(record) };
    return {
      state: "failed",
      error: new P2PError("INVALID_RECORD", `${this.#scan.store.label}: ${trouble}`),
    };
  }

  #offer(text: string, found: Found): void {
    const list = this.#found.get(text);
    if (list === undefined) this.#found.set(text, [found]);
    else list.push(found);
  }

  outcomes(refs: readonly IdRef[]): LookUpOutcome[] {
    const given = new Set<P2PRecord>();
    return refs.map(({ id }) => {
      const outcome = this.#outcomeOf(id);
      if (outcome.state !== "wanted") return outcome;
      // Of an id that was asked for twice there are two records, each the caller's own.
      const record = given.has(outcome.record) ? cloneValue(outcome.record) : outcome.record;
      given.add(record);
      return { state: "wanted", record };
    });
  }

  #outcomeOf(id: P2PId): LookUpOutcome {
    const found = this.#found.get(idKey(id));
    if (found === undefined) return { state: "absent" };
    const itself = found.filter((one) => valuesEqual(one.id, id));
    if (itself.length > 1) return { state: "failed", error: this.#ambiguous(id) };
    if (itself.length === 1) return itself[0]!.outcome;
    return (found.find(({ outcome }) => outcome.state === "wanted") ?? found[0]!).outcome;
  }

  #ambiguous(id: P2PId): P2PError {
    const { store, relation } = this.#scan;
    return new P2PError(
      "READ_FAILED",
      `${store.label}: several rows of "${relation.table.name}" have the id ${JSON.stringify(idKey(id)).slice(0, 80)}, ` +
        "so nobody can tell which is meant; name a unique key",
    );
  }
}
