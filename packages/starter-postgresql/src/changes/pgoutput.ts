/** The messages of pgoutput, PostgreSQL's logical decoding plugin: of each row that was changed only the cells of some columns are taken. */
import { P2PError } from "@omni/p2p-core/starter";
import type { Cell } from "../client/session.ts";

/** A cell that the server did not send: a long value that stayed as it was, or one that is no part of the old key. */
export const UNTOLD = Symbol("a cell that was not told");
export type ToldCell = Cell | typeof UNTOLD;

/** A table as the server describes it before its first change, and after it was altered. */
export interface ToldRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** `relreplident`: `d` the primary key, `i` an index, `f` whole rows, `n` nothing. */
  readonly identity: string;
  readonly columns: readonly { readonly name: string; readonly inKey: boolean }[];
}

/** Who is told of the messages. */
export interface ChangeListener {
  /** @param committedUs microseconds since 2000, by the server's clock. */
  onBegin(xid: number, committedUs: bigint): void;
  /** @param end where the log goes on after the transaction. */
  onCommit(end: bigint): void;
  /** @returns the columns whose cells are wanted, in their order. */
  onRelation(relation: ToldRelation): readonly string[];
  /** The cells of a row as it is now, or as it was: one of an update that changed the key, or of a delete. */
  onRow(relation: number, cells: readonly ToldCell[]): void;
  onTruncate(relations: readonly number[]): void;
}

/** Reads messages, and tells a listener. Nothing of the buffers is kept. A message that ends early or goes astray is an error. */
export class PgoutputParser {
  readonly #listener: ChangeListener;
  /** Of each relation, which of its columns stands where among the wanted ones; -1 for the others. */
  readonly #places = new Map<number, { readonly at: Int32Array; readonly inKey: boolean[]; readonly wanted: number }>();
  #buffer: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(listener: ChangeListener) {
    this.#listener = listener;
  }

  parse(message: Buffer): void {
    this.#buffer = message;
    this.#at = 1;
    switch (String.fromCharCode(message.readUInt8(0))) {
      case "B":
        this.#at += 8;
        this.#begin();
        return;
      case "C":
        this.#at += 9;
        this.#listener.onCommit(this.#int64());
        return;
      case "R":
        this.#relation();
        return;
      case "I":
      case "U":
      case "D":
        this.#change();
        return;
      case "T":
        this.#truncate();
        return;
      // Origins, types and the messages of applications change no row.
      default:
    }
  }

  #begin(): void {
    const committedUs = this.#int64();
    this.#listener.onBegin(this.#int32() >>> 0, committedUs);
  }

  #relation(): void {
    const oid = this.#int32() >>> 0;
    const schema = this.#text() || "pg_catalog";
    const name = this.#text();
    const identity = String.fromCharCode(this.#byte());
    const columns = Array.from({ length: this.#int16() }, () => {
      const inKey = (this.#byte() & 1) !== 0;
      const column = { name: this.#text(), inKey };
      this.#at += 8;
      return column;
    });
    const wanted = this.#listener.onRelation({ oid, schema, name, identity, columns });
    const at = Int32Array.from(columns, (column) => wanted.indexOf(column.name));
    this.#places.set(oid, { at, inKey: columns.map(({ inKey }) => inKey), wanted: wanted.length });
  }

  /** An old row stands before the new one where there is one. */
  #change(): void {
    const relation = this.#int32() >>> 0;
    let old: readonly ToldCell[] | undefined;
    while (this.#at < this.#buffer.length) {
      const kind = String.fromCharCode(this.#byte());
      const cells = this.#row(relation, kind === "K");
      if (kind !== "N") {
        old = cells;
        this.#listener.onRow(relation, cells);
        continue;
      }
      // A long value of the key that stayed as it was stands in the old row alone.
      const before = old;
      const whole = before === undefined ? cells : cells.map((cell, at) => (cell === UNTOLD ? before[at]! : cell));
      this.#listener.onRow(relation, whole);
    }
  }

  #row(relation: number, keyAlone: boolean): ToldCell[] {
    const places = this.#places.get(relation);
    if (places === undefined)
      throw new P2PError("READ_FAILED", `The server told of a relation ${relation} that it did not describe`);
    const cells = new Array<ToldCell>(places.wanted).fill(UNTOLD);
    const columns = this.#int16();
    for (let column = 0; column < columns; column++) {
      const place = places.at[column] ?? -1;
      const kind = this.#byte();
      if (kind === 0x6e) {
        // Of an old key, the columns beside it are sent as NULL.
        if (place >= 0 && !(keyAlone && !places.inKey[column]!)) cells[place] = null;
      } else if (kind === 0x74 || kind === 0x62) {
        const length = this.#int32();
        const end = this.#at + length;
        if (length < 0 || end > this.#buffer.length)
          throw new RangeError(`a cell of ${length} bytes goes beyond its message`);
        if (place >= 0) cells[place] = this.#buffer.toString("utf8", this.#at, end);
        this.#at = end;
      } else if (kind !== 0x75) {
        throw new RangeError(`a cell of an unknown kind ${kind}`);
      }
    }
    return cells;
  }

  #truncate(): void {
    const count = this.#int32();
    this.#at += 1;
    this.#listener.onTruncate(Array.from({ length: count }, () => this.#int32() >>> 0));
  }

  #byte(): number {
    return this.#buffer.readUInt8(this.#at++);
  }

  #int16(): number {
    this.#at += 2;
    return this.#buffer.readInt16BE(this.#at - 2);
  }

  #int32(): number {
    this.#at += 4;
    return this.#buffer.readInt32BE(this.#at - 4);
  }

  #int64(): bigint {
    this.#at += 8;
    return this.#buffer.readBigInt64BE(this.#at - 8);
  }

  #text(): string {
    const end = this.#buffer.indexOf(0, this.#at);
    if (end < 0) throw new RangeError("a name goes beyond its message");
    const text = this.#buffer.toString("utf8", this.#at, end);
    this.#at = end + 1;
    return text;
  }
}
