/** Hooks: calls into the application's code, each with a deadline. */
import { unlessLate } from "../async/deadline.ts";
import { isP2PError, messageOf, P2PError, type P2PErrorCode } from "../errors.ts";
import type { CheckpointStore } from "./checkpoint/checkpoint.ts";
import type { DeadLetterSink } from "./dead-letters/dead-letter.ts";

/** How long what the application gave may take to answer, unless it says otherwise, in ms. */
export const HOOK_TIMEOUT_MS = 60_000;

/** How a piece of the application is called in messages, and what its failure is. */
interface HookName {
  readonly name: string;
  readonly code: P2PErrorCode;
  /** Longest it may take, in ms; 0 is without a limit. */
  readonly timeoutMs: number;
}

/**
 * Calls a piece of the application: waits no longer than it may take, and names it in the error. An error of this
 * library passes as it is.
 *
 * @param late takes what comes after all when nobody waits any more.
 */
async function callHook<T>(
  { name, code, timeoutMs }: HookName,
  call: () => T | Promise<T>,
  late?: (value: T) => unknown,
): Promise<T> {
  const run = async () => call();
  const running = run();
  try {
    if (timeoutMs === 0) return await running;
    return await unlessLate(running, timeoutMs, () => {
      running.then(late, () => {});
      return new P2PError(code, `${name} did not answer within ${timeoutMs} ms; mend it, or allow more by hookTimeout`);
    });
  } catch (error) {
    throw isP2PError(error) ? error : new P2PError(code, `${name} failed: ${messageOf(error)}`, { cause: error });
  }
}

/** A store of checkpoints that can neither hang nor fail namelessly: its errors are `HOOK_FAILED`, or this library's. */
export function boundedCheckpoints(store: CheckpointStore, timeoutMs: number): CheckpointStore {
  const hook = (method: string): HookName => ({
    name: `${method}() of the checkpoint store`,
    code: "HOOK_FAILED",
    timeoutMs,
  });
  return {
    load: (transferId) => callHook(hook("load"), () => store.load(transferId)),
    save: (checkpoint) => callHook(hook("save"), () => store.save(checkpoint)),
    flush: (transferId) => callHook(hook("flush"), () => store.flush?.(transferId)),
    remove: (transferId) => callHook(hook("remove"), () => store.remove(transferId)),
    async lock(transferId) {
      const unlock = await callHook(
        hook("lock"),
        () => store.lock(transferId),
        (given) => given?.(),
      );
      return () => callHook({ ...hook("lock"), name: "What lock() of the checkpoint store gave" }, () => unlock());
    },
  };
}

/** A sink that can neither hang nor fail namelessly: its errors are `DEAD_LETTER_FAILED`, or this library's. */
export function boundedSink(sink: DeadLetterSink, timeoutMs: number): DeadLetterSink {
  const hook = (method: string): HookName => ({
    name: `${method}() of the sink for dead letters (${sink.location})`,
    code: "DEAD_LETTER_FAILED",
    timeoutMs,
  });
  return {
    location: sink.location,
    get notes() {
      return sink.notes ?? [];
    },
    open: (position) =>
      callHook(
        hook("open"),
        () => sink.open(position),
        () => sink.close(),
      ),
    write: (letters) => callHook(hook("write"), () => sink.write(letters)),
    flush: () => callHook(hook("flush"), () => sink.flush?.()),
    close: () => callHook(hook("close"), () => sink.close()),
  };
}

/**
 * Calls a listener of the application, whose troubles are its own: what it throws or rejects with goes to `onTrouble` and
 * nowhere else, and nobody waits for it.
 */
export function callListener(call: () => unknown, onTrouble: (error: unknown) => void): void {
  try {
    const answer = call();
    if (typeof (answer as PromiseLike<unknown> | undefined)?.then === "function") {
      Promise.resolve(answer as PromiseLike<unknown>).catch(onTrouble);
    }
  } catch (error) {
    onTrouble(error);
  }
}

/** A listener of the application that may be called anywhere: one that fails is told of once, and ends nothing. */
export function guardedListener<Args extends unknown[]>(
  name: string,
  listener: ((...args: Args) => unknown) | undefined,
): (...args: Args) => void {
  if (!listener) return () => {};
  let troubled = false;
  const trouble = (error: unknown) => {
    if (!troubled) warnOfListener(name, error);
    troubled = true;
  };
  return (...args) => callListener(() => listener(...args), trouble);
}

/** Tells the process of a listener that failed: as a warning, which Node.js prints and `process.on("warning")` hears. */
export function warnOfListener(name: string, error: unknown): void {
  process.emitWarning(`${name} failed: ${messageOf(error)}. It was ignored, and what it listens to goes on`, {
    type: "P2PWarning",
    code: "HOOK_FAILED",
    ...(error instanceof Error && error.stack !== undefined && { detail: error.stack }),
  });
}
