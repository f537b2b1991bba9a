import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { TransferResult } from "@omni/p2p-core";
import type { TransferJob } from "./job.ts";

/**
 * The ids of the records that failed in a transfer: of all of them where the letters are in a file, else of those that the
 * result lists. It can be gone through several times.
 */
export function failedIds({ deadLetters }: TransferJob, result: TransferResult): AsyncIterable<string> | string[] {
  const listed = result.errors.map(({ id }) => id);
  if (result.failureCount <= listed.length || result.deadLetters === undefined) return listed;
  if (typeof deadLetters === "object" || deadLetters === false) return listed;
  const file = result.deadLetters;
  return { [Symbol.asyncIterator]: () => idsIn(file) };
}

async function* idsIn(file: string): AsyncGenerator<string> {
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    const id = idOf(line);
    if (id !== undefined) yield id;
  }
}

/** A line torn by a crash has none. */
function idOf(line: string): string | undefined {
  try {
    const { id } = JSON.parse(line) as { readonly id?: unknown };
    return typeof id === "string" ? id : undefined;
  } catch {
    return undefined;
  }
}
