/**
 * Work for a connection, at the level of PostgreSQL's protocol: a pipeline of statements, a script, a description, a COPY. The
 * driver's own queries turn every cell over to a parser and take a round trip for each statement.
 */
import type { Writable } from "node:stream";
import type { Submittable, Connection as Wire } from "pg";
import { isServerError } from "./errors.ts";
import type { Answer, Cell, Row } from "./session.ts";

/** One statement of a pipeline. */
export interface Statement {
  readonly text: string;
  readonly params?: readonly Cell[] | undefined;
  /** Whether what it gives need not be described. */
  readonly plain?: boolean;
}

/** What a statement came to, with the word of the command that was done: `SELECT`, `COMMIT`, … */
export interface Completed extends Answer {
  readonly command: string;
}

interface FieldMessage {
  readonly name: string;
  readonly dataTypeID: number;
  readonly dataTypeModifier: number;
}

/** What the driver calls as the server's messages come. */
export abstract class Work<T> implements Submittable {
  readonly #result = Promise.withResolvers<T>();

  get result(): Promise<T> {
    return this.#result.promise;
  }

  abstract submit(wire: Wire): void;
  protected abstract outcome(): T;

  handleRowDescription(_message: { readonly fields: readonly FieldMessage[] }): void {}
  handleDataRow(_message: { readonly fields: Row }): void {}
  handleCommandComplete(_message: { readonly text: string }): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(_message: { readonly chunk: Buffer }, _wire: Wire): void {}

  handleCopyInResponse(wire: Wire): void {
    copyWire(wire).sendCopyFail("a COPY was not expected here");
  }

  /**
   * The driver tells of what comes after an error to nobody. What the server refuses is over when it is ready for another
   * statement, and only then is it known whether a transaction is open.
   */
  handleError(error: Error, wire: Wire): void {
    const settle = () => this.#result.reject(error);
    if (!isServerError(error)) {
      settle();
      return;
    }
    const over = () => {
      wire.off("readyForQuery", over).off("end", over);
      settle();
    };
    wire.on("readyForQuery", over).on("end", over);
  }

  handleReadyForQuery(): void {
    this.#result.resolve(this.outcome());
  }
}

/** The parts of the driver's connection that its types leave out. */
interface CopyWire {
  readonly stream: Writable;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

export function copyWire(wire: Wire): CopyWire {
  return wire as unknown as CopyWire;
}

class AnswerBuilder {
  readonly rows: Row[] = [];
  fields: Answer["fields"] = [];

  describe(fields: readonly FieldMessage[]): void {
    this.fields = fields.map(({ name, dataTypeID, dataTypeModifier }) => ({
      name,
      typeOid: dataTypeID,
      typmod: dataTypeModifier,
    }));
  }

  /** @param tag as the server ends a statement: `INSERT 0 5`, `SELECT 3`, `COMMIT`. */
  complete(tag: string): Completed {
    const [command = "", ...numbers] = tag.split(" ");
    const count = Number(numbers.at(-1));
    return { rows: this.rows, fields: this.fields, rowCount: Number.isFinite(count) ? count : 0, command };
  }
}

/** What all works that give answers do. */
abstract class AnsweringWork extends Work<readonly Completed[]> {
  readonly #answers: Completed[] = [];
  #building = new AnswerBuilder();

  override handleRowDescription({ fields }: { readonly fields: readonly FieldMessage[] }): void {
    this.#building.describe(fields);
  }

  override handleDataRow({ fields }: { readonly fields: Row }): void {
    this.#building.rows.push(fields);
  }

  override handleCommandComplete({ text }: { readonly text: string }): void {
    this.#answers.push(this.#building.complete(text));
    this.#building = new AnswerBuilder();
  }

  override handleEmptyQuery(): void {
    this.handleCommandComplete({ text: "" });
  }

  protected outcome(): readonly Completed[] {
    return this.#answers;
  }
}

/** Statements by the extended protocol, one after another, in one round trip: after an error the rest is left undone. */
export class Pipeline extends AnsweringWork {
  readonly #statements: readonly Statement[];

  constructor(statements: readonly Statement[]) {
    super();
    this.#statements = statements;
  }

  submit(wire: Wire): void {
    const { stream } = wire;
    stream.cork();
    try {
      for (const statement of this.#statements) submitStatement(wire, statement);
      wire.sync();
    } finally {
      stream.uncork();
    }
  }
}

/** Sends a statement by the extended protocol. */
function submitStatement(wire: Wire, { text, params, plain }: Statement): void {
  wire.parse({ text, name: "", types: [] }, true);
  wire.bind(
    { portal: "", statement: "", values: params === undefined ? [] : [...params], binary: false } as never,
    true,
  );
  if (plain !== true) wire.describe({ type: "P", name: "" }, true);
  wire.execute({ portal: "" } as never, true);
}

/** Statements by the simple protocol, in one text. */
export class Script extends AnsweringWork {
  readonly #text: string;

  constructor(text: string) {
    super();
    this.#text = text;
  }

  submit(wire: Wire): void {
    wire.query(this.#text);
  }
}

/** What a statement would give, which is not run, after others that are. */
export class Description extends Work<Answer["fields"]> {
  readonly #before: readonly Statement[];
  readonly #text: string;
  readonly #building = new AnswerBuilder();

  constructor(before: readonly Statement[], text: string) {
    super();
    this.#before = before;
    this.#text = text;
  }

  submit(wire: Wire): void {
    wire.stream.cork();
    for (const statement of this.#before) submitStatement(wire, statement);
    wire.parse({ text: this.#text, name: "", types: [] }, true);
    wire.describe({ type: "S", name: "" }, true);
    wire.sync();
    wire.stream.uncork();
  }

  override handleRowDescription({ fields }: { readonly fields: readonly FieldMessage[] }): void {
    this.#building.describe(fields);
  }

  protected outcome(): Answer["fields"] {
    return this.#building.fields;
  }
}

/** Bytes that are handed to the socket before it is waited for. */
const MOST_UNSENT = 1024 * 1024;

/** `COPY … FROM STDIN`. Gives the number of rows. */
export class CopyIn extends Work<number> {
  override get result(): Promise<number> {
    return super.result.catch((error: unknown) => {
      throw this.#givenUp === undefined ? error : this.#givenUp.reason;
    });
  }

  readonly #sql: string;
  readonly #chunks: Iterable<Buffer | string>;
  #rows = 0;
  /** Why no more is to be sent. */
  #stopped: { readonly reason: unknown } | undefined;
  #wire: CopyWire | undefined;
  /** What was wrong here, of which the server's error is only the echo. */
  #givenUp: { readonly reason: unknown } | undefined;

  constructor(sql: string, chunks: Iterable<Buffer | string>) {
    super();
    this.#sql = sql;
    this.#chunks = chunks;
  }

  /**
   * The rows go out behind the statement, not when the server has asked for them: that would take another round trip. A server whose
   * statement failed passes over them. Source: PostgreSQL's manual, "Message Flow", "COPY Operations".
   */
  submit(wire: Wire): void {
    const copying = copyWire(wire);
    this.#wire = copying;
    // What is ready at once goes out at once: most copies are one chunk.
    copying.stream.cork();
    wire.query(this.#sql);
    this.#send(copying).catch((reason: unknown) => {
      // What makes the chunks failed, and the server must be told, which then says so itself.
      this.#fail(reason);
    });
    copying.stream.uncork();
  }

  async #send(wire: CopyWire): Promise<void> {
    let unsent = 0;
    const { stream } = wire;
    for (const chunk of this.#chunks) {
      if (this.#stopped !== undefined) return;
      if (stream.destroyed) return;
      // The driver would copy the chunk behind the head of its message.
      const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
      stream.cork();
      stream.write(copyDataHead(bytes.length));
      stream.write(bytes);
      stream.uncork();
      unsent += bytes.length;
      if (unsent >= MOST_UNSENT && stream.writableNeedDrain) {
        await drained(stream);
        unsent = 0;
      }
    }
    if (this.#stopped === undefined) {
      this.#stopped = { reason: undefined };
      wire.endCopyFrom();
    }
  }

  /** Ends the copy without its rows. */
  abort(reason: unknown): void {
    this.#fail(reason);
  }

  #fail(reason: unknown): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = { reason };
    this.#wire?.sendCopyFail("the copy was given up");
  }

  override handleCopyInResponse(): void {}

  override handleError(error: Error, wire: Wire): void {
    const reason = this.#stopped?.reason;
    this.#stopped ??= { reason: undefined };
    if (reason !== undefined) this.#givenUp = { reason };
    super.handleError(error, wire);
  }

  override handleCommandComplete({ text }: { readonly text: string }): void {
    if (text.startsWith("COPY ")) this.#rows = Number(text.slice("COPY ".length));
  }

  protected outcome(): number {
    return this.#rows;
  }
}

/** The head of a message CopyData: its type, and its length without that. */
function copyDataHead(bytes: number): Buffer {
  const head = Buffer.allocUnsafe(5);
  head[0] = 0x64;
  head.writeInt32BE(bytes + 4, 1);
  return head;
}

/** The next time a stream takes more, or its end. */
function drained(stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      stream.off("drain", settle).off("close", settle);
      resolve();
    };
    stream.on("drain", settle).on("close", settle);
  });
}

/** Bytes of a chunk that goes out. */
const CHUNK = 65_536;
/** Chunks that wait to be taken before the socket is left alone. */
const MOST_WAITING = 8;

/** `COPY … TO STDOUT`. */
export class CopyOut extends Work<void> {
  readonly #sql: string;
  readonly #waiting: Buffer[] = [];
  #room = Buffer.allocUnsafeSlow(CHUNK);
  #filled = 0;
  #stream: NodeJS.ReadableStream | undefined;
  #wake = Promise.withResolvers<void>();
  /** That the rows are no longer wanted. */
  #dropped = false;

  constructor(sql: string) {
    super();
    this.#sql = sql;
    this.result.then(
      () => this.#wake.resolve(),
      () => this.#wake.resolve(),
    );
  }

  submit(wire: Wire): void {
    wire.query(this.#sql);
  }

  override handleCopyData({ chunk }: { readonly chunk: Buffer }, wire: Wire): void {
    if (this.#dropped) return;
    this.#stream ??= wire.stream;
    // The driver's memory under a message is used again for the next ones.
    for (let from = 0; from < chunk.length; ) {
      const taken = chunk.copy(this.#room, this.#filled, from);
      from += taken;
      this.#filled += taken;
      if (this.#filled === CHUNK) this.#push();
    }
    if (this.#waiting.length >= MOST_WAITING) this.#stream.pause();
  }

  #push(): void {
    if (this.#filled === 0) return;
    this.#waiting.push(this.#room.subarray(0, this.#filled));
    this.#room = Buffer.allocUnsafeSlow(CHUNK);
    this.#filled = 0;
    this.#wake.resolve();
  }

  override handleReadyForQuery(): void {
    this.#push();
    super.handleReadyForQuery();
  }

  protected outcome(): void {}

  /** The chunks as they come; the end of the work is `result`. */
  async *chunks(): AsyncGenerator<Buffer> {
    let over = false;
    const ended = this.result.then(() => {
      over = true;
    });
    ended.catch(() => {});
    while (true) {
      const chunk = this.#waiting.shift();
      if (chunk !== undefined) {
        if (this.#waiting.length < MOST_WAITING / 2) this.#stream?.resume();
        yield chunk;
      } else if (over) {
        return;
      } else {
        this.#wake = Promise.withResolvers<void>();
        await Promise.race([this.#wake.promise, ended]);
      }
    }
  }

  /** Takes no notice of the rest. */
  drop(): void {
    this.#dropped = true;
    this.#waiting.length = 0;
    this.#stream?.resume();
  }
}
