import { onAbort } from "../async/abort.ts";
import { isP2PError, P2PError } from "../errors.ts";
import type { ResolvedTransfer } from "./options.ts";

/** What ends a transfer before its time: its own errors, the caller's signal and the timeout, each with its own reason. */
export interface StopSignal {
  readonly controller: AbortController;
  readonly signal: AbortSignal;
  /** Lets go of the caller's signal and the timer. */
  disarm(): void;
}

/** Lets the caller's signal and the timeout of a transfer abort it. */
export function stopSignal(
  { signal, transferId, config }: ResolvedTransfer,
  controller: AbortController = new AbortController(),
): StopSignal {
  const cancel = () => {
    const reason: unknown = signal?.reason;
    controller.abort(
      isP2PError(reason)
        ? reason
        : new P2PError("ABORTED", `The transfer "${transferId}" was cancelled`, { cause: reason }),
    );
  };
  const stop = () => {
    controller.abort(
      new P2PError(
        "TIMEOUT",
        `The transfer "${transferId}" was stopped after its transfer_timeout of ${config.transferTimeout} ms; resume it, or allow more`,
      ),
    );
  };
  const forget = onAbort(signal, cancel);
  const timer = config.transferTimeout > 0 ? setTimeout(stop, config.transferTimeout) : undefined;
  return {
    controller,
    signal: controller.signal,
    disarm: () => {
      clearTimeout(timer);
      forget();
    },
  };
}
