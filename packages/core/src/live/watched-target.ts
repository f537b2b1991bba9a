/** Writes of unknown outcome: the target of a follow, which asks before each write, and tells of every one that got no clear answer. */
import { onAbort, unlessAborted } from "../async/abort.ts";
import { isConnectionError, isP2PError } from "../errors.ts";
import { boundService } from "../storage/bound-service.ts";
import type { IdRef } from "../storage/id-ref.ts";
import type { P2PDataTransferService, RawSource } from "../storage/service.ts";
import type { TransferEnd } from "../transfer/end.ts";

/** What is to be heard of a target. */
export interface TargetWatch {
  /** Asked before each write; what it throws is thrown in place of the write. */
  readonly before: (signal: AbortSignal) => Promise<void>;
  /** Told of a write or a delete that threw, or whose failures are those of a way that broke: it may land later than it seems. */
  readonly unclear: (refs: readonly IdRef[]) => void;
  /** How long a write may go on, in ms, for which nobody waits any more: once it is answered its outcome is known. */
  readonly lingerMs: number;
}

/** The target of a follow. */
export class WatchedTarget implements TransferEnd {
  readonly service: P2PDataTransferService;
  readonly endpoint: TransferEnd["endpoint"];
  readonly #watch: TargetWatch;
  readonly #underWay = new Set<Promise<unknown>>();

  /**
   * @param target a target opened once more for parts would be out of hearing, so that there is none.
   * @param rawSource makes out the records of a raw lane.
   */
  constructor(target: TransferEnd, rawSource: RawSource | undefined, watch: TargetWatch) {
    this.endpoint = target.endpoint;
    this.#watch = watch;
    const { service } = target;
    const { rawTarget } = service;
    this.service = {
      ...boundService(service),
      writeToTarget: (records, options) =>
        this.#heard(
          options,
          (given) => service.writeToTarget(records, given),
          () => records.map(({ id }) => ({ id })),
        ),
      ...(service.deleteFromTarget && {
        deleteFromTarget: (refs, options) =>
          this.#heard(
            options,
            (given) => service.deleteFromTarget!(refs, given),
            () => refs.map(({ id }) => ({ id })),
          ),
      }),
      ...(rawTarget &&
        rawSource && {
          rawTarget: {
            accepts: (format) => rawTarget.accepts(format),
            write: (documents, options) =>
              this.#heard(
                options,
                (given) => rawTarget.write(documents, given),
                () => documents.map((document) => ({ id: rawSource.decode(document).id })),
              ),
          },
        }),
    };
  }

  /** Waits until no write is under way any more, which is no longer than they may linger. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#underWay);
  }

  async #heard<O extends { readonly signal: AbortSignal }, R extends Outcome>(
    options: O,
    call: (options: O) => Promise<R>,
    refs: () => readonly IdRef[],
  ): Promise<R> {
    const { signal } = options;
    await this.#watch.before(signal);
    signal.throwIfAborted();
    const ending = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const forget = onAbort(signal, () => {
      timer = setTimeout(() => ending.abort(signal.reason), this.#watch.lingerMs);
    });
    const outcome = this.#outcomeOf(call({ ...options, signal: ending.signal }), refs).finally(() => {
      forget();
      clearTimeout(timer);
    });
    this.#underWay.add(outcome);
    outcome.catch(() => {}).finally(() => this.#underWay.delete(outcome));
    return unlessAborted(outcome, signal);
  }

  async #outcomeOf<R extends Outcome>(calling: Promise<R>, refs: () => readonly IdRef[]): Promise<R> {
    let result: R;
    try {
      result = await calling;
    } catch (error) {
      this.#watch.unclear(refs());
      throw error;
    }
    const lost = result.failures.filter(({ error }) => isConnectionError(error) || isP2PError(error, "TIMEOUT"));
    if (lost.length > 0) {
      const all = refs();
      this.#watch.unclear(lost.map(({ index }) => all[index]!));
    }
    return result;
  }
}

interface Outcome {
  readonly failures: readonly { readonly index: number; readonly error: unknown }[];
}
