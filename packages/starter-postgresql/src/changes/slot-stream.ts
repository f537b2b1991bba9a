/** Streaming replication: the server sends its log as it is written, and is told how far it need not be kept. */
import { endsWithin, P2PError } from "@omni/p2p-core/starter";
import type { Connection as Wire } from "pg";
import type { Connection } from "../client/connection.ts";
import { literal, quote } from "../client/sql.ts";
import { copyWire, Work } from "../client/work.ts";
import { lsnText } from "./lsn.ts";

/** The beginning of the server's time, in ms. */
const YEAR_2000_MS = 946_684_800_000;
/** Bytes before a message of the log, and of a whole sign of life. */
const DATA_HEADER = 25;
const KEEPALIVE = 18;
/** How often the server is told that we are alive, in ms; it gives up on those who are silent for a minute (`wal_sender_timeout`). */
const REPORT_MS = 5000;
/** Time in which a server answers that is there, in ms. */
export const ANSWER_MS = 15_000;
/** How long the server may take to end a stream, in ms. */
const END_MS = 1000;

/** The error of a server that says nothing. */
export function noAnswer(label: string): P2PError {
  return new P2PError("CONNECTION_LOST", `${label} has not answered for ${ANSWER_MS} ms; try again`, {
    retryable: true,
  });
}

/** Ends a connection, with or without the server. */
export async function takeLeave(connection: Connection): Promise<void> {
  if (!(await endsWithin(connection.end(), END_MS))) connection.destroy();
}

/** Who is told of what comes. */
export interface StreamListener {
  /** @param message one of pgoutput's, empty where it was cut off; its memory is used again afterwards. Must not throw. */
  onMessage(message: Buffer): void;
  /** Between transactions, everything before this place was told. */
  onKeepalive(end: bigint): void;
  /** Whether the server is to wait until something was taken. */
  readonly isFull: boolean;
}

/** A moment of the server's clock, in microseconds since 2000. */
export function dateOfServerTime(us: bigint): Date {
  return new Date(YEAR_2000_MS + Number(us / 1000n));
}

/** `START_REPLICATION` on a connection that speaks the protocol; its result is there when the stream has ended. */
export class SlotStream extends Work<void> {
  readonly #connection: Connection;
  readonly #sql: string;
  readonly #listener: StreamListener;
  readonly #started = Promise.withResolvers<void>();
  #wire: Wire | undefined;
  #received: bigint;
  #confirmed: bigint;
  #reporting: NodeJS.Timeout | undefined;
  #ending = false;
  #ended: Promise<void> | undefined;
  /** When the server was last heard, by `performance.now()`. */
  heardAt = performance.now();

  constructor(
    connection: Connection,
    options: { readonly slot: string; readonly publication: string; readonly from: bigint; readonly confirmed: bigint },
    listener: StreamListener,
  ) {
    super();
    this.#connection = connection;
    this.#listener = listener;
    this.#received = options.from;
    this.#confirmed = options.confirmed;
    this.#sql = `START_REPLICATION SLOT ${quote(options.slot)} LOGICAL ${lsnText(options.from)} (proto_version '1', publication_names ${literal(quote(options.publication))})`;
    this.result.catch((error: unknown) => this.#started.reject(error)).finally(() => clearInterval(this.#reporting));
    this.#started.promise.catch(() => {});
  }

  /** Begins, and waits until the server has agreed. */
  async start(): Promise<void> {
    this.#connection.run(this).then(
      () => this.#started.reject(new P2PError("CONNECTION_LOST", "The server ended the stream", { retryable: true })),
      () => {},
    );
    await this.#started.promise;
  }

  submit(wire: Wire): void {
    this.#wire = wire;
    wire.once("replicationStart", () => {
      if (!this.#ending) this.#reporting = setInterval(() => this.report(false), REPORT_MS);
      this.#started.resolve();
    });
    wire.query(this.#sql);
  }

  protected outcome(): void {}

  override handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    this.heardAt = performance.now();
    if (this.#ending) return;
    const isData = chunk[0] === 0x77;
    if (!isData && chunk[0] !== 0x6b) return;
    // What is thrown here would end the process; one who reads what is not there says so.
    if (chunk.length < (isData ? DATA_HEADER : KEEPALIVE)) {
      this.#listener.onMessage(Buffer.alloc(0));
      return;
    }
    const end = chunk.readBigUInt64BE(isData ? 9 : 1);
    if (end > this.#received) this.#received = end;
    if (isData) {
      this.#listener.onMessage(chunk.subarray(DATA_HEADER));
      if (this.#listener.isFull) this.#wire?.stream.pause();
      return;
    }
    if (chunk[17] === 1) this.report(false);
    this.#listener.onKeepalive(end);
  }

  /** Says that nothing before this place is needed any more. */
  confirm(lsn: bigint): void {
    if (lsn <= this.#confirmed) return;
    this.#confirmed = lsn;
    this.report(false);
  }

  /** Tells the server how far we are, and that we are alive. @param ask whether it shall answer at once. */
  report(ask: boolean): void {
    if (this.#wire === undefined || this.#ending || !this.#connection.isAlive) return;
    const message = Buffer.alloc(34);
    message[0] = 0x72;
    message.writeBigUInt64BE(this.#received, 1);
    message.writeBigUInt64BE(this.#confirmed, 9);
    message.writeBigUInt64BE(this.#confirmed, 17);
    message.writeBigInt64BE(BigInt(Date.now() - YEAR_2000_MS) * 1000n, 25);
    message[33] = ask ? 1 : 0;
    copyWire(this.#wire).sendCopyFromChunk(message);
  }

  /** Reads on, where the socket was left alone. */
  resume(): void {
    this.#wire?.stream.resume();
  }

  /** Ends the stream, so that the slot is free for another one. Whoever asks again waits for the same end. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    clearInterval(this.#reporting);
    if (this.#wire !== undefined && this.#connection.isAlive) {
      this.report(false);
      this.#ending = true;
      this.resume();
      copyWire(this.#wire).endCopyFrom();
      const over = this.result.then(
        () => this.#connection.end(),
        () => {},
      );
      if (await endsWithin(over, END_MS)) return;
    }
    this.#ending = true;
    this.#connection.destroy();
  }
}
