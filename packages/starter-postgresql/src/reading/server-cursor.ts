/** Server cursors: the rows of one statement, fetched page by page within one read-only transaction, which sorts them once. */
import { isP2PError, P2PError, unlessAborted } from "@omni/p2p-core/starter";
import type { Cell, Row, Session } from "../client/session.ts";
import type { PostgresqlStore } from "../client/store.ts";

/** Cursors of one store at a time: connections must be left for what a reader asks beside them. */
const MOST_CURSORS = 5;

/** A semaphore: who may have a cursor. */
class Turns {
  #free = MOST_CURSORS;
  readonly #waiting: PromiseWithResolvers<void>[] = [];

  async take(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const turn = Promise.withResolvers<void>();
    this.#waiting.push(turn);
    try {
      await unlessAborted(turn.promise, signal);
    } catch (error) {
      const at = this.#waiting.indexOf(turn);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.give();
      throw error;
    }
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next.resolve();
  }
}

const turnsOf = new WeakMap<PostgresqlStore, Turns>();

interface Request {
  readonly rows: number;
  readonly answer: PromiseWithResolvers<Row[]>;
}

/**
 * The pages of a statement. The next one is fetched while one is worked on.
 */
export async function* cursorPages(
  store: PostgresqlStore,
  text: string,
  params: readonly Cell[],
  size: PageRows,
  signal: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  const turns = turnsOf.get(store) ?? new Turns();
  turnsOf.set(store, turns);
  await turns.take(signal);
  try {
    yield* pagesOf(store, text, params, size, signal);
  } finally {
    turns.give();
  }
}

/** How many rows the next page is to have, by those of the last one. */
interface PageRows {
  readonly rows: number;
  note(rows: readonly Row[]): void;
}

async function* pagesOf(
  store: PostgresqlStore,
  text: string,
  params: readonly Cell[],
  size: PageRows,
  given: AbortSignal,
): AsyncGenerator<readonly Row[]> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([given, leaving.signal]);
  const requests: Request[] = [];
  let wake = Promise.withResolvers<void>();
  let over = false;
  const ask = (): Request => {
    const request = { rows: size.rows, answer: Promise.withResolvers<Row[]>() };
    request.answer.promise.catch(() => {});
    requests.push(request);
    wake.resolve();
    return request;
  };
  let pending: Request | undefined = ask();
  const run = async (session: Session) => {
    await session.query(`DECLARE "p2p_rows" NO SCROLL CURSOR WITHOUT HOLD FOR ${text}`, params);
    await beLeftInPeace(session, store.version);
    for (;;) {
      const request = requests[0];
      if (request === undefined) {
        if (over) return;
        await wake.promise;
        wake = Promise.withResolvers<void>();
        continue;
      }
      const { rows } = await session.query(`FETCH FORWARD ${request.rows} FROM "p2p_rows"`);
      requests.shift();
      request.answer.resolve(rows);
    }
  };
  const transaction = store.transaction("read", signal, run);
  transaction.then(
    () => {},
    (error: unknown) => {
      for (const request of requests.splice(0)) request.answer.reject(error);
    },
  );
  const failed = transaction.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  try {
    while (pending !== undefined) {
      const request: Request = pending;
      const rows = await Promise.race([request.answer.promise, failed]);
      const isLast = rows.length < request.rows;
      size.note(rows);
      pending = isLast ? undefined : ask();
      if (rows.length > 0) yield rows;
    }
  } catch (error) {
    given.throwIfAborted();
    throw isP2PError(error)
      ? error
      : new P2PError("READ_FAILED", `Cannot read from ${store.label}: ${String(error)}`, { cause: error });
  } finally {
    over = true;
    wake.resolve();
    if (requests.length > 0) leaving.abort(new P2PError("ABORTED", "Reading was given up"));
    await transaction.catch(() => {});
  }
}

/** A reader that is slow is not to be thrown out for it. */
async function beLeftInPeace(session: Session, version: number): Promise<void> {
  const names = ["idle_in_transaction_session_timeout", ...(version >= 170_000 ? ["transaction_timeout"] : [])];
  await session.query(`SELECT ${names.map((name) => `pg_catalog.set_config('${name}', '0', true)`).join(", ")}`);
}
