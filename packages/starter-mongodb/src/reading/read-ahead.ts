import type { FindCursor } from "mongodb";

/**
 * Read-ahead: a cursor's documents, as the server's answers bring them. The next answer is asked for before this one is worked on,
 * so that server and client have something to do at the same time.
 */
export async function* readAhead(cursor: FindCursor): AsyncGenerator<readonly Uint8Array[]> {
  let next = cursor.next();
  for (;;) {
    const first: unknown = await next;
    if (first === null) return;
    const documents = [first, ...cursor.readBufferedDocuments()];
    next = cursor.next();
    // Who stops before the end never asks for it.
    next.catch(() => {});
    yield documents as Uint8Array[];
  }
}
