/** Transactions: the session that runs within one, the settings that hold in it, and what becomes of it when it is called off. */
import { endsWithin, onAbort, P2PError } from "@omni/p2p-core/starter";
import type { Connection } from "./connection.ts";
import type { Answer, Cell, Session } from "./session.ts";
import { literal } from "./sql.ts";
import { CopyIn, CopyOut, Description, Script, type Statement } from "./work.ts";

/** How long a statement that was cancelled may take to end, in ms, before its connection is dropped. */
const CANCEL_GRACE_MS = 1000;

/**
 * Settings by which the same value has the same text wherever it is asked for. They hold for one transaction: a pooler may give
 * the session to another one after it.
 */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["DateStyle", "ISO, YMD"],
  ["IntervalStyle", "iso_8601"],
  ["TimeZone", "UTC"],
  ["extra_float_digits", "1"],
  ["bytea_output", "hex"],
  ["client_encoding", "UTF8"],
  ["lc_monetary", "C"],
  ["xmloption", "content"],
];

/** How a transaction begins. */
export interface TransactionMode {
  readonly readOnly: boolean;
  /** How long a lock is waited for, in ms. */
  readonly lockTimeoutMs: number;
}

/** A statement by which the settings hold for a whole session, which must be nobody else's. */
export function settingsOfSession(): string {
  return `SELECT ${SETTINGS.map(([name, value]) => setting(name, value, false)).join(", ")}`;
}

function setting(name: string, value: string, isLocal: boolean): string {
  return `pg_catalog.set_config(${literal(name)}, ${literal(value)}, ${isLocal})`;
}

/** The statements that every transaction begins with. */
function beginning({ readOnly, lockTimeoutMs }: TransactionMode): readonly string[] {
  const settings = [...SETTINGS, ["lock_timeout", String(Math.ceil(lockTimeoutMs))] as const];
  const calls = settings.map(([name, value]) => setting(name, value, true));
  return [
    `BEGIN ISOLATION LEVEL READ COMMITTED ${readOnly ? "READ ONLY" : "READ WRITE"}`,
    `SELECT ${calls.join(", ")}`,
  ];
}

/** What a COPY in the binary format begins with: the texts of numbers and times are none of its business. */
function beginningOfCopy({ lockTimeoutMs }: TransactionMode): readonly string[] {
  return [
    "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    "SET LOCAL client_encoding = 'UTF8'",
    `SET LOCAL lock_timeout = ${Math.ceil(lockTimeoutMs)}`,
  ];
}

/** A statement whose answer nobody looks at. */
function plainly(text: string): Statement {
  return { text, plain: true };
}

/** A session that has a transaction: it begins with the first statement, in the same round trip. */
export class TransactionSession implements Session {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #mode: TransactionMode;
  readonly #readOnly: boolean;
  #begun = false;
  /** A COPY was left before its end, which the server takes for a failure. */
  #leftEarly = false;
  /** What is under way, and how it is stopped. */
  #running: { readonly result: Promise<unknown>; readonly stop?: () => void } | undefined;
  /** A cancel request on its way, which must not meet what others do on the connection. */
  #cancelling: Promise<void> | undefined;
  /** Makes the error for those who come too late. */
  #over: (() => P2PError) | undefined;

  constructor(connection: Connection, mode: TransactionMode, signal: AbortSignal) {
    this.#connection = connection;
    this.#mode = mode;
    this.#readOnly = mode.readOnly;
    this.#signal = signal;
  }

  async query(text: string, params?: readonly Cell[]): Promise<Answer> {
    const before = this.#beginning();
    const answers = await this.#run(() => this.#connection.pipeline([...before.map(plainly), { text, params }]));
    return answers.at(-1)!;
  }

  /** The columns that a statement would give, which is not run. */
  describe(text: string): Promise<Answer["fields"]> {
    const work = new Description(this.#beginning().map(plainly), text);
    return this.#run(() => this.#connection.run(work));
  }

  async script(text: string): Promise<Answer[]> {
    const before = this.#beginning();
    const work = new Script([...before, text].join(";\n"));
    const answers = await this.#run(() => this.#connection.run(work));
    return answers.slice(before.length);
  }

  async copyIn(sql: string, chunks: Iterable<Buffer | string>): Promise<number> {
    const work = new CopyIn(this.#withBeginning(sql), chunks);
    return this.#run(
      () => this.#connection.run(work),
      () => work.abort(this.#signal.reason),
    );
  }

  async *copyOut(sql: string): AsyncGenerator<Buffer> {
    const work = new CopyOut(this.#withBeginning(sql));
    const running = this.#run(() => this.#connection.run(work));
    running.catch(() => {});
    let over = false;
    try {
      yield* work.chunks();
      over = true;
      await running;
    } finally {
      if (!over) {
        this.#leftEarly = true;
        work.drop();
        await this.#calledOff();
      }
    }
  }

  /** One statement and the end of the transaction, in the round trip that began it. */
  async only(text: string, params: readonly Cell[] | undefined): Promise<Answer> {
    const before = this.#beginning().map(plainly);
    const answers = await this.#run(() => this.#connection.pipeline([...before, { text, params }, plainly("COMMIT")]));
    return answers.at(-2)!;
  }

  /** A COPY in the binary format, what follows on it, and the end of the transaction, in the round trip that began it. */
  async onlyCopyIn(sql: string, chunks: Iterable<Buffer>, afterwards: readonly string[]): Promise<void> {
    this.#begun = true;
    const text = [...beginningOfCopy(this.#mode), sql, ...afterwards, "COMMIT"].join(";\n");
    const work = new CopyIn(text, chunks);
    await this.#run(
      () => this.#connection.run(work),
      () => work.abort(this.#signal.reason),
    );
  }

  /** Ends the transaction and keeps what was done. */
  async commit(): Promise<void> {
    // `finish` rolls back, where nothing was written.
    if (!this.#begun || (this.#leftEarly && this.#readOnly)) return;
    const [answer] = await this.#run(() => this.#connection.pipeline([plainly("COMMIT")]));
    // Of a transaction in which something failed, COMMIT makes nothing.
    if (answer?.command === "ROLLBACK") {
      throw new P2PError("WRITE_FAILED", "A statement of the transaction failed, so that it was rolled back");
    }
  }

  /**
   * Leaves the connection as one that others can use, and lets nobody use the session any more.
   *
   * @returns whether it is one.
   */
  async finish(why: () => P2PError): Promise<boolean> {
    this.#over = why;
    if (!this.#connection.isAlive) return false;
    if (this.#running !== undefined && !(await this.#calledOff())) return false;
    await this.#cancelling;
    if (this.#connection.isIdle) return true;
    const rolledBack = this.#connection.pipeline([plainly("ROLLBACK")]);
    return (await endsWithin(rolledBack, CANCEL_GRACE_MS)) && this.#connection.isIdle;
  }

  /** Calls off what is under way. @returns whether it ended in time. */
  async #calledOff(): Promise<boolean> {
    const running = this.#running;
    if (running === undefined) return true;
    running.stop?.();
    this.#cancelling = this.#connection.cancel();
    await this.#cancelling;
    return endsWithin(running.result, CANCEL_GRACE_MS);
  }

  #beginning(): readonly string[] {
    if (this.#begun) return [];
    this.#begun = true;
    return beginning(this.#mode);
  }

  /** A text for the simple protocol. */
  #withBeginning(sql: string): string {
    return [...this.#beginning(), sql].join(";\n");
  }

  async #run<T>(work: () => Promise<T>, stop?: () => void): Promise<T> {
    this.#signal.throwIfAborted();
    if (this.#over !== undefined) throw this.#over();
    const result = work();
    const running = { result, ...(stop && { stop }) };
    this.#running = running;
    const forget = onAbort(this.#signal, () => {
      this.#calledOff().then((ended) => {
        if (!ended) this.#connection.destroy();
      });
    });
    try {
      return await result;
    } finally {
      forget();
      if (this.#running === running) this.#running = undefined;
    }
  }
}
