import { onTestFinished } from "vitest";
import {
  type ConnectionConfigInput,
  DefaultP2PConnectionManager,
  type EndpointInfo,
  type ManagerOptions,
  type P2PStarter,
} from "../../src/index.ts";
import { CONTRACT_VERSION, type OpenContext } from "../../src/starter.ts";
import { records, ScriptedStore } from "./scripted-store.ts";

type Open = (endpoint: EndpointInfo, context: OpenContext, number: number) => ScriptedStore | Promise<ScriptedStore>;

/** A starter whose stores are scripted, and which remembers what it was asked. */
export class ScriptedStarter implements P2PStarter {
  readonly storageType: string;
  readonly contractVersion = CONTRACT_VERSION;
  readonly options = {};
  readonly opened: ScriptedStore[] = [];
  readonly asked: { endpoint: EndpointInfo; context: OpenContext }[] = [];
  onOpen: Open;

  constructor(storageType: string, onOpen: Open = () => new ScriptedStore(records(20))) {
    this.storageType = storageType;
    this.onOpen = onOpen;
  }

  async open(endpoint: EndpointInfo, context: OpenContext): Promise<ScriptedStore> {
    const number = this.asked.push({ endpoint, context }) - 1;
    const store = await this.onOpen(endpoint, context, number);
    this.opened.push(store);
    return store;
  }

  get stillOpen(): number {
    return this.opened.filter((store) => !store.isClosed).length;
  }
}

/** A manager with a source type `from` and a target type `to`, closed when the test ends. */
export function managed(options: ManagerOptions & { from?: Open; to?: Open } = {}) {
  const { from: openFrom, to: openTo, ...rest } = options;
  const from = new ScriptedStarter("from", openFrom);
  const to = new ScriptedStarter("to", openTo ?? (() => new ScriptedStore()));
  const manager = new DefaultP2PConnectionManager(rest);
  manager.registerService("from", from);
  manager.registerService("to", to);
  onTestFinished(() => manager.close({ drainTimeout: 0 }));
  const connect = (config: ConnectionConfigInput = {}) =>
    manager.establish("from:a", "to:b", { retryDelay: 1, maxRetryDelay: 2, ...config });
  return { manager, from, to, connect };
}

export const NO_LETTERS = { deadLetters: false } as const;
