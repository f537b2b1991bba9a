import { describeConformance } from "@omni/p2p-testkit";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

let made = 0;

describeConformance({
  name: "memory",
  starter: memoryStarter,
  async createEndpoint() {
    const name = `conformance-${++made}`;
    return {
      endpoint: `memory:${name}`,
      database: { endpoint: "memory:", name },
      deleteRecords: async (ids) => {
        for (const id of ids) memoryStore(name).delete(id);
      },
      changeRecord: async (id) => memoryStore(name).put({ id, changed: true }),
      dispose: async () => void dropMemoryStore(name),
    };
  },
});
