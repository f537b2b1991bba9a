/** Read-ahead with back-pressure. */
import { onAbort } from "../async/abort.ts";
import { settleSoon } from "../async/deadline.ts";

/**
 * Draws items from a source before they are asked for: at most `depth` of them, and none beyond the first while
 * there is no room. An error of the source is thrown after the items before it.
 */
export async function* readAhead<T>(
  source: AsyncIterable<T>,
  depth: number,
  hasRoom: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<T> {
  signal.throwIfAborted();
  const ready: T[] = [];
  let ended = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = Promise.withResolvers<void>();
  const iterator = source[Symbol.asyncIterator]();
  const notify = () => {
    wake.resolve();
    wake = Promise.withResolvers();
  };

  const fill = async () => {
    try {
      while (!ended) {
        while (ready.length >= depth || (ready.length > 0 && !hasRoom())) {
          await wake.promise;
          if (ended) return;
        }
        const { done, value } = await iterator.next();
        if (done) break;
        ready.push(value);
        notify();
      }
    } catch (error) {
      failure = { error };
    }
    ended = true;
    notify();
  };

  const forget = onAbort(signal, notify);
  const filling = fill();
  try {
    for (;;) {
      signal.throwIfAborted();
      const item = ready.shift();
      if (item !== undefined) {
        notify();
        yield item;
      } else if (failure) {
        throw failure.error;
      } else if (ended) {
        return;
      } else {
        await wake.promise;
      }
    }
  } finally {
    forget();
    ended = true;
    notify();
    await settleSoon([filling, iterator.return?.()]);
  }
}
