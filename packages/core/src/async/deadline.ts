/** Deadlines: a time limit on a promise, or on work that heeds a signal. */
import { MAX_TIMER_MS } from "../config.ts";
import { unlessAborted } from "./abort.ts";

/** How long what was told to end may take to do so, in ms, before it is left behind. */
const GRACE_MS = 2000;

/** A timer within the limits of Node, also for `Infinity` and for a time that is over. */
function timerOf(ms: number, ring: () => void): NodeJS.Timeout {
  return setTimeout(ring, Math.min(MAX_TIMER_MS, Math.max(0, ms)));
}

/**
 * The promise, or an error when it is not settled before its deadline: for work that cannot be called back. It goes on by
 * itself then, and what becomes of it is nobody's business. No timer is left behind, which would keep the process.
 *
 * @param ms how long it may take.
 * @param late the error of a missed deadline.
 */
export async function unlessLate<T>(work: Promise<T>, ms: number, late: () => unknown): Promise<T> {
  const missed = Promise.withResolvers<never>();
  const timer = timerOf(ms, () => missed.reject(late()));
  try {
    return await Promise.race([work, missed.promise]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}

/**
 * Does a piece of work that can be called back, and has a deadline: it is given a signal that aborts with the caller's or
 * when the time is over, and is left behind where it does not heed it.
 *
 * @param ms how long it may take.
 * @param signal the caller's own.
 * @param late the error of a missed deadline: the reason of the signal, and what the work fails with then, whatever it
 * throws itself.
 */
export async function withDeadline<T>(
  ms: number,
  signal: AbortSignal | undefined,
  late: () => unknown,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const deadline = new AbortController();
  const timer = timerOf(ms, () => deadline.abort(late()));
  const either = signal ? AbortSignal.any([signal, deadline.signal]) : deadline.signal;
  try {
    return await unlessAborted(work(either), either);
  } catch (error) {
    either.throwIfAborted();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until a piece of work has ended, well or not, but no longer than so many ms.
 *
 * @returns whether it ended in time.
 */
export async function endsWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const missed = Promise.withResolvers<boolean>();
  const timer = timerOf(ms, () => missed.resolve(false));
  const ended = work.then(
    () => true,
    () => true,
  );
  try {
    return await Promise.race([ended, missed.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits until all have ended, well or not, but no longer than a while: an adapter that does not heed its signal is left
 * behind then.
 *
 * @param since when they were told to end, on the clock of `performance.now()`.
 * @param graceMs how long they may take. Default 2000.
 */
export async function settleSoon(
  work: readonly unknown[],
  since: number = performance.now(),
  graceMs: number = GRACE_MS,
): Promise<void> {
  await endsWithin(Promise.allSettled(work), since + graceMs - performance.now());
}
