/** The promise, or the signal's reason as soon as it aborts: for work of the driver that cannot be called back. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
    // What comes after is nobody's business, but must not be an unhandled rejection.
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}
