import type { EventEmitter } from "node:events";
import { callListener, warnOfListener } from "../transfer/hooks.ts";
import type { P2PConnectionEvents } from "./connection.ts";

/** An event that has happened: its name, and what its listeners get. */
export type HappenedEvent = {
  [K in keyof P2PConnectionEvents]: { readonly name: K; readonly event: P2PConnectionEvents[K][0] };
}[keyof P2PConnectionEvents];

const failedListeners = new WeakSet<object>();

/**
 * Every listener hears of it, whatever another one does. What one throws or rejects with is its own: it must neither end
 * the process nor leave a connection between two states, and is told once, as a warning.
 */
export function emitSafely(events: EventEmitter<P2PConnectionEvents>, { name, event }: HappenedEvent): void {
  // As they are registered: the wrapper of a `once` takes itself off.
  for (const listener of events.rawListeners(name)) {
    callListener(
      () => Reflect.apply(listener, events, [event]) as unknown,
      (error) => {
        if (!failedListeners.has(listener)) warnOfListener(`A listener of the event "${name}"`, error);
        failedListeners.add(listener);
      },
    );
  }
}
