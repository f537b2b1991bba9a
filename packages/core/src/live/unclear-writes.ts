/** Writes of unknown outcome: a target that tells of every call that got no clear answer. */
import { isConnectionError, isP2PError } from "../errors.ts";
import { boundService } from "../storage/bound-service.ts";
import type { IdRef } from "../storage/id-ref.ts";
import type { P2PDataTransferService, RawSource } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";

/**
 * The target, with an ear for what may land later than it seems: a write or a delete that threw, or whose failures are those of
 * a way that broke.
 *
 * @param rawSource makes out the records of a raw lane.
 */
export function tellingUnclear(
  target: TransferEnd,
  rawSource: RawSource | undefined,
  unclear: (refs: readonly IdRef[]) => void,
): TransferEnd {
  const { service } = target;
  const heard = async <R extends { readonly failures: readonly { readonly index: number; readonly error: unknown }[] }>(
    call: () => Promise<R>,
    refs: () => readonly IdRef[],
  ): Promise<R> => {
    let result: R;
    try {
      result = await call();
    } catch (error) {
      unclear(refs());
      throw error;
    }
    const lost = result.failures.filter(({ error }) => isConnectionError(error) || isP2PError(error, "TIMEOUT"));
    if (lost.length > 0) {
      const all = refs();
      unclear(lost.map(({ index }) => all[index]!));
    }
    return result;
  };
  const { rawTarget } = service;
  const told: P2PDataTransferService = {
    ...boundService(service),
    writeToTarget: (records, options) =>
      heard(
        () => service.writeToTarget(records, options),
        () => records.map(({ id }) => ({ id })),
      ),
    ...(service.deleteFromTarget && {
      deleteFromTarget: (refs, options) =>
        heard(
          () => service.deleteFromTarget!(refs, options),
          () => refs.map(({ id }) => ({ id })),
        ),
    }),
    ...(rawTarget &&
      rawSource && {
        rawTarget: {
          accepts: (format) => rawTarget.accepts(format),
          write: (documents, options) =>
            heard(
              () => rawTarget.write(documents, options),
              () => documents.map((document) => ({ id: rawSource.decode(document).id })),
            ),
        },
      }),
  };
  // A target opened once more for parts would be out of hearing.
  return { service: told, endpoint: target.endpoint };
}
