/** Abort signals: to hear of one, and to stop waiting at one. */

/**
 * Calls a listener when a signal aborts, or at once when it has aborted already.
 *
 * @returns what takes the listener away again, so that a signal that lasts keeps nothing of what has ended.
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal?.aborted) listener();
  else signal?.addEventListener("abort", listener, { once: true });
  return () => signal?.removeEventListener("abort", listener);
}

/**
 * The promise, or the signal's reason as soon as it aborts: for work that cannot be called back. It goes on by itself
 * then, and what becomes of it is nobody's business.
 */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const forget = onAbort(signal, () => aborted.reject(signal.reason));
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    forget();
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}

/** A controller that aborts with a signal as well. */
export function linkedController(signal: AbortSignal): AbortController & { forget(): void } {
  const controller = new AbortController();
  const forget = onAbort(signal, () => controller.abort(signal.reason));
  return Object.assign(controller, { forget });
}
