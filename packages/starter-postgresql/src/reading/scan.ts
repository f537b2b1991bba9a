/** Scans: what is selected of a relation for a query, and how its rows become the query's records. */
import {
  idKey,
  isP2PError,
  matches,
  P2PError,
  type P2PRecord,
  type ParsedQuery,
  pickFields,
  type ReadFailure,
} from "@omni/p2p-core/starter";
import type { Row } from "../client/session.ts";
import { quote } from "../client/sql.ts";
import type { PostgresqlStore } from "../client/store.ts";
import type { Relation } from "../query/relation.ts";
import { type Filter, translateWhere } from "../query/where.ts";
import type { Dialect } from "../query/where-cell.ts";
import { SIDECAR } from "../types.ts";
import { RowPlan } from "../values/row-plan.ts";

/** What a row came to: a record, none, or one that cannot be made out. */
export type Found = P2PRecord | ReadFailure | undefined;

/** How the rows of a relation become records. */
export class Scan {
  readonly store: PostgresqlStore;
  readonly relation: Relation;
  readonly query: ParsedQuery;
  readonly dialect: Dialect;
  readonly filter: Filter;
  readonly plan: RowPlan;
  readonly #idPlan: RowPlan;
  /** The fields that are given, where more of them are read. */
  readonly #pick: readonly string[] | undefined;
  readonly #sidecarAt: number | undefined;

  /** @param also fields that are read besides, since rows are sorted by them; they are given only where asked for. */
  constructor(
    store: PostgresqlStore,
    relation: Relation,
    query: ParsedQuery,
    { also = [], extra = [] }: { readonly also?: readonly string[]; readonly extra?: readonly string[] } = {},
  ) {
    const { table } = relation;
    this.store = store;
    this.relation = relation;
    this.query = query;
    this.dialect = { version: store.version, plain: store.endpoint.values === "plain" };
    this.filter = translateWhere(table, query.conditions, this.dialect);
    const asked = query.fields;
    const checked = this.filter.check === "none" ? [] : query.conditions.map(({ field }) => field);
    const needed = asked && new Set([...asked, ...checked, ...also].filter((field) => field !== "id"));
    this.#pick = asked !== undefined && needed!.size > asked.length ? asked : undefined;
    const { plain } = this.dialect;
    this.plan = new RowPlan(table, needed, { plain, extra });
    this.#idPlan = new RowPlan(table, new Set(), { plain });
    this.#sidecarAt = table.own ? this.plan.select.indexOf(quote(SIDECAR)) : undefined;
  }

  /** The record of a row with all that was read of it, or why it is none. */
  recordOf(row: Row): P2PRecord | ReadFailure {
    try {
      const record = this.plan.record(row);
      if (record !== undefined) return record;
      throw keyless(this);
    } catch (error) {
      return { id: this.#idText(row), error: readError(error, this.store.label) };
    }
  }

  /** Whether SQL could not say of a row that it is wanted. */
  mustCheck(row: Row): boolean {
    const { check } = this.filter;
    return check === "all" || (check === "sidecar" && row[this.#sidecarAt!] !== null);
  }

  /** What the query gives of a row. */
  find(row: Row): Found {
    const record = this.recordOf(row);
    if (isFailure(record)) return record;
    if (this.filter.check !== "none" && this.mustCheck(row) && !matches(this.query.conditions, record))
      return undefined;
    return record;
  }

  /** The record with the fields that are asked for alone. */
  picked(record: P2PRecord): P2PRecord {
    return this.#pick === undefined ? record : pickFields(record, this.#pick);
  }

  /** Whether the record of a row is known to be valid. */
  isValid({ id }: P2PRecord, row: Row): boolean {
    if (!this.plan.isSound(row)) return false;
    return typeof id === "string" ? id !== "" : typeof id === "number" ? Number.isFinite(id) : typeof id === "bigint";
  }

  #idText(row: Row): string {
    try {
      const id = this.#idPlan.record([...this.plan.keyOf(row), null])?.id;
      if (id !== undefined) return idKey(id);
    } catch {
      // Its cells are told as they are.
    }
    return this.plan.keyOf(row).join(", ");
  }
}

export function isFailure(found: P2PRecord | ReadFailure): found is ReadFailure {
  return (found as ReadFailure).error instanceof P2PError && isP2PError((found as ReadFailure).error);
}

/** The error of a row whose key is NULL. */
export function keyless({ relation: { table }, store }: Pick<Scan, "relation" | "store">): P2PError {
  const columns = table.key.columns.map(({ column }) => `"${column.name}"`).join(", ");
  return new P2PError(
    "INVALID_RECORD",
    `${store.label}: a row of "${table.name}" is NULL in its key (${columns}), so it names no record`,
  );
}

function readError(error: unknown, label: string): P2PError {
  if (isP2PError(error)) return error;
  return new P2PError("INVALID_RECORD", `${label}: a row cannot be made out`, { cause: error });
}

/** Bytes of a row, as the server sent it. */
export function sizeOf(row: Row): number {
  let bytes = 0;
  for (const cell of row) bytes += cell === null ? 4 : cell.length + 4;
  return bytes;
}
