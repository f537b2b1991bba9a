import { expect, it } from "vitest";
import { watchSecrecy } from "../src/watch.ts";

/** A core that gives away what it is told, in the way that is named. */
function leakingCore() {
  class Manager {
    readonly events = { emit: (_name: string, ..._args: unknown[]) => true };
    async establish(way: string) {
      if (way === "error") throw new Error("cannot reach redis://u:planted-s3cret@h", { cause: { deep: 1 } });
      if (way === "cause") throw new Error("cannot reach it", { cause: new Error("WRONGPASS planted-s3cret") });
      if (way === "event") this.events.emit("statusChanged", { to: "ERROR", why: "planted-s3cret" });
      return way === "result" ? { sourceEndpoint: { metadata: { password: "planted-s3cret" } } } : { fine: true };
    }
    transferThroughConnection() {}
    verify() {}
    warmUp() {}
    getConnectionStatistics() {
      return { last_error: "planted-s3cret" };
    }
  }
  class Bridge {
    async transfer() {}
  }
  class Store {
    async save(_checkpoint: unknown) {}
  }
  class Sink {
    async write(_letters: unknown) {}
  }
  return {
    DefaultP2PConnectionManager: Manager,
    DefaultP2PTransferBridge: Bridge,
    FileCheckpointStore: Store,
    FileDeadLetterSink: Sink,
    manager: new Manager(),
    store: new Store(),
    sink: new Sink(),
  };
}

it.each(["error", "cause", "event", "result", "statistics", "checkpoint", "dead letter", "nothing"])(
  "sees a password in: %s",
  async (way) => {
    const core = leakingCore();
    const leaks: string[] = [];
    watchSecrecy(core, (where) => leaks.push(where));
    await core.manager.establish(way).catch(() => {});
    if (way === "statistics") core.manager.getConnectionStatistics();
    if (way === "checkpoint") await core.store.save({ identity: { source: "planted-s3cret" } });
    if (way === "dead letter") await core.sink.write([{ reason: "planted-s3cret" }]);
    expect(leaks).toHaveLength(way === "nothing" ? 0 : 1);
  },
);
