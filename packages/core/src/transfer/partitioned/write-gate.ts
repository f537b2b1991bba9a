/** Semaphores around the writes of parallel parts. */
import { Semaphore } from "../../async/semaphore.ts";
import { boundService } from "../../storage/bound-service.ts";
import type { P2PDataTransferService, WriteOptions } from "../../storage/service.ts";

/**
 * The targets of parts that run side by side, held to the number of writes that their store bears: what one service
 * bears holds for all who share it, and a store with a single writer has one for all services.
 */
export function gatedTargets(targets: readonly P2PDataTransferService[]): P2PDataTransferService[] {
  const [first] = targets;
  if (targets.length < 2 || !first) return [...targets];
  const semaphores = new Map<P2PDataTransferService, Semaphore>();
  const single = first.capabilities.writeConcurrency <= 1 ? new Semaphore(1) : undefined;
  return targets.map((target) => {
    const semaphore = single ?? semaphores.get(target) ?? new Semaphore(target.capabilities.writeConcurrency);
    semaphores.set(target, semaphore);
    return gated(target, semaphore);
  });
}

function gated(target: P2PDataTransferService, semaphore: Semaphore): P2PDataTransferService {
  const { rawTarget, rawSource } = target;
  return {
    ...boundService(target),
    writeToTarget: (records, options) => semaphore.run(options.signal, () => target.writeToTarget(records, options)),
    ...(rawSource && { rawSource }),
    ...(rawTarget && {
      rawTarget: {
        accepts: (format: string) => rawTarget.accepts(format),
        write: (documents: readonly unknown[], options: WriteOptions) =>
          semaphore.run(options.signal, () => rawTarget.write(documents, options)),
      },
    }),
  };
}
