/** A buffer between the log and its reader: the ids that were told and not yet taken, each once. */
import { type IdRef, idKey, isP2PError, P2PError } from "@omni/p2p-core/starter";
import { qualified } from "../client/sql.ts";
import type { Table } from "../client/table.ts";
import { SIDECAR } from "../types.ts";
import { looksHashed } from "../values/own-ids.ts";
import { ownIdType, RowPlan } from "../values/row-plan.ts";
import { type ChangeListener, PgoutputParser, type ToldCell, type ToldRelation, UNTOLD } from "./pgoutput.ts";
import { dateOfServerTime, type StreamListener } from "./slot-stream.ts";

/** Ids of a batch, or transactions that changed them; about as many wait before the server is left waiting. */
const MOST_WAITING = 5000;

/** What was told since the last time. */
export interface Told {
  readonly refs: readonly IdRef[];
  /** Where reading may begin anew without leaving one of them out that is still to come. */
  readonly lsn: bigint;
  /** The transactions that told of them. */
  readonly xids: readonly number[];
  readonly committedAt: Date | undefined;
}

/** Collects the ids of one table. */
export class ChangeCollector implements ChangeListener, StreamListener {
  readonly #table: Table;
  readonly #label: string;
  readonly #plan: RowPlan;
  readonly #wanted: readonly string[];
  readonly #parser = new PgoutputParser(this);
  #refs = new Map<string, IdRef>();
  #lsn: bigint;
  #xids: number[] = [];
  #committedUs: bigint | undefined;
  /** The transaction that is being told. */
  #open: { readonly xid: number; readonly committedUs: bigint; noted: boolean } | undefined;
  #hasCommitted = false;
  #truncated = false;
  #failure: P2PError | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(table: Table, label: string, options: { readonly plain: boolean; readonly from: bigint }) {
    this.#table = table;
    this.#label = label;
    this.#lsn = options.from;
    this.#plan = new RowPlan(table, new Set(), { plain: options.plain });
    const key = table.key.columns.map(({ column }) => column.name);
    this.#wanted = table.own ? [...key, SIDECAR] : key;
  }

  /** Everything up to here was told. */
  get lsn(): bigint {
    return this.#lsn;
  }

  /** Why no more is to be told. */
  get failure(): P2PError | undefined {
    return this.#failure;
  }

  /** Whether something is worth taking: whole transactions, or the beginning of one that is large. */
  get isReady(): boolean {
    return this.#hasCommitted || this.isFull || this.#failure !== undefined;
  }

  get isFull(): boolean {
    return this.#refs.size >= MOST_WAITING || this.#xids.length >= MOST_WAITING;
  }

  /** Resolves when something has come since the last time. */
  get news(): Promise<void> {
    return this.#wake.promise;
  }

  /** Forgets that something has come, where nothing of it is to be taken. */
  rest(): void {
    if (!this.isReady) this.#wake = Promise.withResolvers();
  }

  take(): Told {
    const told = {
      refs: [...this.#refs.values()],
      lsn: this.#lsn,
      xids: this.#xids,
      committedAt: this.#committedUs === undefined ? undefined : dateOfServerTime(this.#committedUs),
    };
    this.#refs = new Map();
    // Of a transaction that is told in several batches, each needs it.
    this.#xids = this.#open?.noted === true ? [this.#open.xid] : [];
    this.#committedUs = undefined;
    this.#hasCommitted = false;
    this.#wake = Promise.withResolvers();
    return told;
  }

  onMessage(message: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      this.#parser.parse(message);
    } catch (error) {
      this.#fail(
        isP2PError(error)
          ? error
          : new P2PError("READ_FAILED", `${this.#label}: a message of the log cannot be made out`, { cause: error }),
      );
    }
  }

  onKeepalive(end: bigint): void {
    if (this.#failure === undefined && this.#open === undefined && end > this.#lsn) this.#lsn = end;
    this.#wake.resolve();
  }

  onBegin(xid: number, committedUs: bigint): void {
    this.#open = { xid, committedUs, noted: false };
  }

  onCommit(end: bigint): void {
    this.#open = undefined;
    this.#lsn = end;
    if (this.#truncated) {
      this.#fail(this.#lost("the table was emptied by TRUNCATE, which names no records"));
    } else if (this.#refs.size > 0) {
      this.#hasCommitted = true;
      this.#wake.resolve();
    }
  }

  onRelation({ oid, identity, columns }: ToldRelation): readonly string[] {
    if (oid !== this.#table.oid) return [];
    for (const { column } of this.#table.key.columns) {
      const told = columns.find(({ name }) => name === column.name);
      if (told === undefined || (identity !== "f" && !told.inKey)) {
        throw this.#lost(
          told === undefined
            ? `the key column "${column.name}" was dropped or renamed`
            : `the replica identity was changed, and no longer has "${column.name}"`,
        );
      }
    }
    return this.#wanted;
  }

  onRow(relation: number, cells: readonly ToldCell[]): void {
    if (relation !== this.#table.oid) return;
    const { keyWidth } = this.#plan;
    const key = cells.slice(0, keyWidth);
    // A row whose key is NULL is no record.
    if (key.includes(null)) return;
    if (key.includes(UNTOLD)) throw this.#lost("the server left out the key of a row, which is a long text");
    const id = this.#idOf(key as string[], cells[keyWidth]);
    this.#note();
    this.#refs.set(idKey(id), { id });
    if (this.isFull) this.#wake.resolve();
  }

  onTruncate(relations: readonly number[]): void {
    if (relations.includes(this.#table.oid)) this.#truncated = true;
  }

  #note(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#committedUs = open.committedUs;
    if (open.noted) return;
    open.noted = true;
    this.#xids.push(open.xid);
  }

  #idOf(key: readonly string[], sidecar: ToldCell | undefined) {
    if (!this.#table.own) return this.#plan.record([...key])!.id;
    if (!looksHashed(ownIdType(this.#table), key[0]!)) return this.#plan.record([...key, null])!.id;
    if (typeof sidecar === "string") return this.#plan.record([...key, sidecar])!.id;
    throw this.#lost(
      `a record whose id is no plain text was deleted, and the log has only its hash; ALTER TABLE ${qualified(this.#table)} REPLICA IDENTITY FULL puts all of it there`,
    );
  }

  #lost(what: string): P2PError {
    return new P2PError(
      "CHANGES_LOST",
      `${this.#label} cannot tell all changes of ${qualified(this.#table)}: ${what}; a new position and a mirror make up for it`,
    );
  }

  #fail(error: P2PError): void {
    this.#failure = error;
    this.#wake.resolve();
  }
}
