import type { Place } from "../places.ts";
import type { Row, Shape } from "../shapes.ts";

/** Records in a page of the hand-written loops, and so in a command of them. */
export const PAGE = 1000;

/** Writes pages of records, several at a time. */
export interface PageWriter<Stored> {
  /** Pages that are written at a time. */
  readonly inFlight: number;
  /** Gives nothing when the page is written on return. */
  write(page: readonly Stored[]): Promise<unknown> | undefined;
  close(): Promise<void> | void;
}

/** The best that is known for one store, written by hand against its client. */
export interface Loop<Stored> {
  /** All records, page by page, as the client gives them. */
  read(place: Place, shape: Shape): AsyncIterable<readonly Stored[]>;
  openWriter(place: Place, shape: Shape): Promise<PageWriter<Stored>>;
  decode(shape: Shape): (stored: Stored) => Row;
  encode(shape: Shape): (row: Row) => Stored;
  /** What must be done to a record on the way to another place of this store. Default: nothing. */
  copy?(shape: Shape): (stored: Stored) => Stored;
}

/** Moves all records: reads a page while others are being written. */
export async function runLoop<From, To>(
  [source, from]: readonly [Loop<From>, Place],
  [target, to]: readonly [Loop<To>, Place],
  shape: Shape,
): Promise<void> {
  const convert = conversion(source, target, shape);
  const writer = await target.openWriter(to, shape);
  const writing = new Set<Promise<unknown>>();
  try {
    for await (const page of source.read(from, shape)) {
      const written = writer.write(convert(page));
      if (written === undefined) continue;
      const settled = written.finally(() => writing.delete(settled));
      writing.add(settled);
      if (writing.size >= writer.inFlight) await Promise.race(writing);
    }
    await Promise.all(writing);
  } finally {
    await Promise.allSettled(writing);
    await writer.close();
  }
}

function conversion<From, To>(
  source: Loop<From>,
  target: Loop<To>,
  shape: Shape,
): (page: readonly From[]) => readonly To[] {
  // One store has one form of records, so the pages fit as they are.
  if ((source as unknown) === target) {
    const copy = target.copy?.(shape);
    return (page) => (copy ? (page as unknown as To[]).map((stored) => copy(stored)) : (page as unknown as To[]));
  }
  const decode = source.decode(shape);
  const encode = target.encode(shape);
  return (page) => page.map((stored) => encode(decode(stored)));
}

/** Asks for the next page before the last one is used. */
export async function* readAhead<T>(pages: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = pages.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done) return;
      next = pages.next();
      // Whoever waits for it next hears of the error; nobody may come to wait.
      next.catch(() => {});
      yield value;
    }
  } finally {
    await pages.return(undefined);
  }
}
