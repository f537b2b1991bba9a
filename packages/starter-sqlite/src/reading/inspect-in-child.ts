import type { OpenContext, StoreInspection } from "@omni/p2p-core/starter";
import type { SqliteEndpoint } from "../endpoint.ts";
import { inspectHere } from "../inspecting/inspect.ts";
import { ReaderChild } from "./reader-child.ts";

/** Looks at a file in a process of its own, where there can be one: any of its views may be a trap. */
export async function inspectInChild(endpoint: SqliteEndpoint, context: OpenContext): Promise<StoreInspection> {
  const { signal, connectTimeoutMs } = context;
  signal.throwIfAborted();
  const since = performance.now();
  const reader = endpoint.options.isolate === "never" ? undefined : await ReaderChild.begin(endpoint.label, signal);
  if (reader === undefined) return inspectHere(endpoint, context);
  try {
    // What is left of it, so that a lock is told before the one who waits gives up.
    const patienceMs = Math.max(1, connectTimeoutMs - (performance.now() - since));
    reader.ask({ kind: "inspect", endpoint, patienceMs });
    const message = await reader.answer(signal);
    return (message as { value: StoreInspection }).value;
  } finally {
    reader.kill();
  }
}
