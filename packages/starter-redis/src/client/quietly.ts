/** A promise that may be left alone: when who asked stops early, nobody waits for what is on its way. */
export function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
