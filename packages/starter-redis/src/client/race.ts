/**
 * The promise, or the rejection that comes first: with the signal's reason when it aborts, with an error when the time
 * is over. The promise itself goes on; what becomes of it then is nobody's business.
 */
export function race<T>(promise: Promise<T>, signal: AbortSignal | undefined, timeoutMs?: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const abort = () => finish(() => reject(signal?.reason));
    const finish = (settle: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      settle();
    };
    if (timeoutMs !== undefined) {
      timer = setTimeout(
        () => finish(() => reject(new Error(`No answer within ${timeoutMs} ms: timed out`))),
        timeoutMs,
      );
    }
    promise.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error)),
    );
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** A promise that may be left alone: when who asked stops early, nobody waits for what is on its way. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
