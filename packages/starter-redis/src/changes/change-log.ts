/** A change log in memory, compacted by key: of a key that is named again, only the last time counts. */
import { type Key, keyName } from "../client/keys.ts";

/** A key, and the sequence number under which it was named last. */
interface Entry {
  readonly key: Key;
  readonly sequence: number;
}

/** What an entry takes besides the name of its key, in bytes, about. */
const ENTRY_BYTES = 200;

/** Some keys of the log, in its order. */
export interface LoggedKeys {
  readonly keys: readonly Key[];
  /** Everything up to here has been given. */
  readonly sequence: number;
}

/**
 * Keys that have changed, each once, from the last acknowledged one on. Whoever writes into it is never held up: what is
 * read from the server's socket goes in here at once, since a server that cannot send hangs up.
 */
export class ChangeLog {
  readonly #entries = new Map<string, Entry>();
  readonly #readers = new Set<LogReader>();
  #last = 0;
  #floor = 0;
  #bytes = 0;

  /** The sequence number of what was named last. */
  get last(): number {
    return this.#last;
  }

  /** What the log takes in memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  add(key: Key): void {
    const name = keyName(key);
    const entry = { key, sequence: ++this.#last };
    // Taken out and put in again, a key moves to the end, so that the numbers rise from the first to the last.
    if (!this.#entries.delete(name)) this.#bytes += name.length + ENTRY_BYTES;
    this.#entries.set(name, entry);
    for (const reader of this.#readers) reader.add(name, entry);
  }

  /** Forgets what was named up to a sequence number. */
  forget(upTo: number): void {
    this.#floor = Math.max(this.#floor, Math.min(upTo, this.#last));
    for (const [name, { sequence }] of this.#entries) {
      if (sequence > this.#floor) break;
      this.#entries.delete(name);
      this.#bytes -= name.length + ENTRY_BYTES;
    }
  }

  /** Reads from behind a sequence number; `undefined` where the log does not reach back that far. To be closed. */
  reader(after: number): LogReader | undefined {
    if (after < this.#floor || after > this.#last) return undefined;
    const reader = new LogReader(
      () => this.#last,
      () => this.#readers.delete(reader),
    );
    for (const [name, entry] of this.#entries) if (entry.sequence > after) reader.add(name, entry);
    this.#readers.add(reader);
    return reader;
  }
}

/** One reader of a log. */
export class LogReader {
  readonly #fresh = new Map<string, Entry>();
  readonly #last: () => number;
  readonly #onClose: () => void;
  #wake: () => void = () => {};

  constructor(last: () => number, onClose: () => void) {
    this.#last = last;
    this.#onClose = onClose;
  }

  get isEmpty(): boolean {
    return this.#fresh.size === 0;
  }

  add(name: string, entry: Entry): void {
    this.#fresh.delete(name);
    this.#fresh.set(name, entry);
    this.#wake();
  }

  /** Resolves when there is something to take. */
  filled(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (!this.isEmpty) resolve();
    });
  }

  /** The next keys, so many at most. */
  take(most: number): LoggedKeys {
    const keys: Key[] = [];
    let sequence = 0;
    for (const [name, entry] of this.#fresh) {
      if (keys.length >= most) break;
      keys.push(entry.key);
      sequence = entry.sequence;
      this.#fresh.delete(name);
    }
    return { keys, sequence: this.isEmpty ? this.#last() : sequence };
  }

  close(): void {
    this.#onClose();
  }
}
