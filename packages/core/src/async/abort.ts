/**
 * The promise, or the signal's reason as soon as it aborts: for work that cannot be called back. It goes on by itself
 * then, and what becomes of it is nobody's business.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}
