/** Rate limit of a transfer, in records and in bytes, shared by all of its parts. */
import { TokenBucket } from "../async/token-bucket.ts";
import { parseRate } from "../config.ts";

/** Pages in a second, so that a slow transfer is steady rather than a burst now and then. */
const PAGES_IN_A_SECOND = 4;

/** Lets so many records and bytes through in a second. */
export class RateLimiter {
  readonly #records: TokenBucket | undefined;
  readonly #bytes: TokenBucket | undefined;

  /** @throws P2PError `INVALID_CONFIG`. */
  constructor(limit: number | string) {
    const { records, bytes } = parseRate(limit);
    this.#records = records === undefined ? undefined : new TokenBucket(records);
    this.#bytes = bytes === undefined ? undefined : new TokenBucket(bytes);
  }

  /** Records to read at a time, of so many that would be read without a limit. */
  page(size: number): number {
    if (!this.#records) return size;
    return Math.max(1, Math.min(size, Math.floor(this.#records.perSecond / PAGES_IN_A_SECOND)));
  }

  /** Bytes to read at a time, of so many that would be read without a limit. */
  pageBytes(size: number): number {
    if (!this.#bytes) return size;
    return Math.max(1, Math.min(size, Math.floor(this.#bytes.perSecond / PAGES_IN_A_SECOND)));
  }

  /**
   * Waits until what went before is paid for, and enters so much.
   *
   * @throws the signal's reason.
   */
  async take(records: number, bytes: number, signal: AbortSignal): Promise<void> {
    if (records > 0) await this.#records?.take(records, signal);
    if (bytes > 0) await this.#bytes?.take(bytes, signal);
  }
}
