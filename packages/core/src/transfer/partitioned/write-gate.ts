import { unlessAborted } from "../../async/abort.ts";
import { boundService } from "../../storage/bound-service.ts";
import type { P2PDataTransferService, WriteOptions } from "../../storage/service.ts";

/** Lets so many through at a time. */
class Gate {
  readonly #limit: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  async pass<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#inside >= this.#limit) await this.#turn(signal);
    else this.#inside++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#inside--;
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    try {
      await unlessAborted(promise, signal);
    } catch (error) {
      const place = this.#waiting.indexOf(resolve);
      if (place >= 0) this.#waiting.splice(place, 1);
      else this.#passOn();
      throw error;
    }
  }

  /** The turn came when nobody wanted it any more. */
  #passOn(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#inside--;
  }
}

/**
 * The targets of parts that run side by side, held to the number of writes that their store bears: what one service
 * bears holds for all who share it, and a store with a single writer has one for all services.
 */
export function gatedTargets(targets: readonly P2PDataTransferService[]): P2PDataTransferService[] {
  const [first] = targets;
  if (targets.length < 2 || !first) return [...targets];
  const gates = new Map<P2PDataTransferService, Gate>();
  const single = first.capabilities.writeConcurrency <= 1 ? new Gate(1) : undefined;
  return targets.map((target) => {
    const gate = single ?? gates.get(target) ?? new Gate(target.capabilities.writeConcurrency);
    gates.set(target, gate);
    return gated(target, gate);
  });
}

function gated(target: P2PDataTransferService, gate: Gate): P2PDataTransferService {
  const { rawTarget, rawSource } = target;
  return {
    ...boundService(target),
    writeToTarget: (records, options) => gate.pass(options.signal, () => target.writeToTarget(records, options)),
    ...(rawSource && { rawSource }),
    ...(rawTarget && {
      rawTarget: {
        accepts: (format: string) => rawTarget.accepts(format),
        write: (documents: readonly unknown[], options: WriteOptions) =>
          gate.pass(options.signal, () => rawTarget.write(documents, options)),
      },
    }),
  };
}
