import {
  type DeadLetter,
  type DeadLetterSink,
  DefaultP2PTransferBridge,
  type TransferOptions,
  type TransferResult,
} from "@omni/p2p-core";
import { boundService, type TransferEnd } from "@omni/p2p-core/engine";
import type { EndpointInfo, JsonValue, P2PDataTransferService, P2PQuery } from "@omni/p2p-core/starter";
import type { Bench } from "./bench.ts";

/** One end of a transfer that a law runs: a place, and the tools of the adapter that serves it. */
export interface Side {
  readonly bench: Bench;
  readonly endpoint: EndpointInfo;
}

/** Stands between the bridge and a service, to watch it or to break it. */
export type Interposed = (service: P2PDataTransferService) => P2PDataTransferService;

/** Opens both ends, transfers, and closes them, as separate processes would do it. */
export async function transferOnce(
  source: Side,
  target: Side,
  options: TransferOptions,
  settings: { query?: P2PQuery; interpose?: Interposed } = {},
): Promise<TransferResult> {
  const reader = await source.bench.open(source.endpoint, "source");
  const writer = await target.bench.open(target.endpoint, "target");
  const from: TransferEnd = { service: reader, endpoint: source.endpoint };
  const to: TransferEnd = { service: settings.interpose?.(writer) ?? writer, endpoint: target.endpoint };
  try {
    return await new DefaultP2PTransferBridge().transfer(from, to, settings.query ?? {}, {
      deadLetters: false,
      ...options,
    });
  } finally {
    await reader.close();
    await writer.close();
  }
}

/** Keeps dead letters in memory. */
export class LetterBox implements DeadLetterSink {
  readonly location = "memory";
  readonly letters: DeadLetter[] = [];

  async open(position: JsonValue): Promise<void> {
    this.letters.length = typeof position === "number" ? position : 0;
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    this.letters.push(...letters);
    return this.letters.length;
  }

  async close(): Promise<void> {}
}

/** What {@link killedAt} throws in place of a process that dies. */
class Killed extends Error {
  constructor() {
    super("killed by the test");
    this.name = "Killed";
  }
}

/**
 * Lets a number of calls of `writeToTarget` pass and fails all later ones: the first of these `before` anything is
 * written, or `after` it was written but before anybody knows.
 */
export function killedAt(calls: number, when: "before" | "after", onWrite: (records: number) => void): Interposed {
  let seen = 0;
  return (service) => ({
    ...boundService(service),
    async writeToTarget(records, options) {
      const call = seen++;
      if (call > calls || (call === calls && when === "before")) throw new Killed();
      onWrite(records.length);
      const result = await service.writeToTarget(records, options);
      if (call === calls) throw new Killed();
      return result;
    },
  });
}

export function isKilled(error: unknown): boolean {
  // Errors that leave the bridge are copied on the way, to keep secrets out, so the class is known by its name alone.
  for (let cause = error; cause instanceof Error; cause = cause.cause) if (cause.name === Killed.name) return true;
  return false;
}
