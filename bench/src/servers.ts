import { type ServiceKind, serviceKinds, startService, type TestService } from "@omni/p2p-test-services";
import type { Store } from "./places.ts";

/** The servers of a run, each for it alone. */
export class Servers {
  readonly #running = new Map<Store, Promise<TestService>>();

  /** Its URL; empty for a store that needs no server. The server is started when it is first asked for. */
  async url(store: Store): Promise<string> {
    return isServer(store) ? (await this.#start(store)).url : "";
  }

  /** What answers, such as `Redis 7.0.15`; `undefined` for a store that needs no server. */
  async product(store: Store): Promise<string | undefined> {
    if (!isServer(store)) return undefined;
    const { product, version } = await this.#start(store);
    return `${product} ${version}`;
  }

  async stop(): Promise<void> {
    const running = await Promise.allSettled(this.#running.values());
    await Promise.all(running.map((server) => server.status === "fulfilled" && server.value.stop()));
  }

  #start(kind: ServiceKind): Promise<TestService> {
    const running = this.#running.get(kind) ?? startService(kind, { exclusive: true });
    this.#running.set(kind, running);
    return running;
  }
}

function isServer(store: Store): store is ServiceKind {
  return (serviceKinds as readonly Store[]).includes(store);
}
