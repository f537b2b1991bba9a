import type { Place } from "../places.ts";
import type { Shape } from "../shapes.ts";
import { usualReaders } from "./read.ts";
import { usualWriters } from "./write.ts";

/** How far a loop came, and in which time. */
export interface Stretch {
  readonly records: number;
  readonly ms: number;
}

/**
 * The usual loop: reads record by record, writes each, and waits for it. Since it takes its time, it is stopped after a
 * while, which spares it the later pages that OFFSET makes dearer.
 */
export async function runUsual(from: Place, to: Place, shape: Shape, milliseconds: number): Promise<Stretch> {
  const start = performance.now();
  const writer = await usualWriters[to.store](to, shape);
  let records = 0;
  try {
    for await (const row of usualReaders[from.store](from, shape)) {
      await writer.write(row);
      records++;
      if (performance.now() - start > milliseconds) break;
    }
    return { records, ms: performance.now() - start };
  } finally {
    await writer.close();
  }
}
