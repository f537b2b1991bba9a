import { inspect } from "node:util";
import type { P2PConnectionManager } from "@omni/p2p-core";
import { PLANTED } from "./planted.ts";

/** The classes of the core through which things leave it; of any copy, so that no more is asked of their types. */
export interface WatchedCore {
  readonly DefaultP2PConnectionManager: { readonly prototype: object };
  readonly DefaultP2PTransferBridge: { readonly prototype: object };
  readonly FileCheckpointStore: { readonly prototype: object };
  readonly FileDeadLetterSink: { readonly prototype: object };
}

type Method = (this: object, ...args: unknown[]) => unknown;

/**
 * Watches every result, error, statistic and event of managers and bridges, and every checkpoint and dead letter that is
 * written to a file.
 *
 * @param leaked called with where it left, and the text around the password.
 */
export function watchSecrecy(core: WatchedCore, leaked: (where: string, text: string) => void): void {
  const look = (where: string, value: unknown) => {
    const text = inspect(value, { depth: 12, maxArrayLength: 200, maxStringLength: 20_000 });
    const found = PLANTED.exec(text);
    if (found) leaked(where, text.slice(Math.max(0, found.index - 80), found.index + 80));
  };
  const watchedEvents = new WeakSet<object>();
  const watchEvents = (manager: P2PConnectionManager) => {
    if (watchedEvents.has(manager.events)) return;
    watchedEvents.add(manager.events);
    const emit = manager.events.emit.bind(manager.events) as (...args: unknown[]) => boolean;
    // Wrapped rather than listened to, since a listener for progress makes the source count its records.
    Object.assign(manager.events, {
      emit: (name: string, ...args: unknown[]) => {
        look(`the event ${name}`, args);
        return emit(name, ...args);
      },
    });
  };
  const manager = core.DefaultP2PConnectionManager.prototype;
  for (const name of [
    "establish",
    "transferThroughConnection",
    "verify",
    "warmUp",
    "getConnectionStatistics",
  ] as const) {
    wrap(
      manager,
      name,
      (value) => look(`manager.${name}`, value),
      (self) => watchEvents(self as P2PConnectionManager),
    );
  }
  wrap(core.DefaultP2PTransferBridge.prototype, "transfer", (value) => look("bridge.transfer", value));
  wrap(
    core.FileCheckpointStore.prototype,
    "save",
    () => {},
    (_, [checkpoint]) => look("a checkpoint", checkpoint),
  );
  wrap(
    core.FileDeadLetterSink.prototype,
    "write",
    () => {},
    (_, [letters]) => look("a dead letter", letters),
  );
}

/** Puts itself before a method: sees what goes in, and what comes out or is thrown, and changes nothing. */
function wrap(
  prototype: object,
  name: string,
  after: (value: unknown) => void,
  before: (self: object, args: readonly unknown[]) => void = () => {},
): void {
  const original = Reflect.get(prototype, name) as Method;
  const fail = (error: unknown) => {
    after(error);
    throw error;
  };
  const pass = (value: unknown) => {
    after(value);
    return value;
  };
  const wrapped: Method = function (...args) {
    before(this, args);
    let value: unknown;
    try {
      value = original.apply(this, args);
    } catch (error) {
      return fail(error);
    }
    return value instanceof Promise ? value.then(pass, fail) : pass(value);
  };
  Object.defineProperty(prototype, name, { value: wrapped, configurable: true, writable: true });
}
