import { describeConformance } from "@omni/p2p-testkit";
import { dropMemoryStore, memoryStarter } from "../src/index.ts";

let made = 0;

describeConformance({
  name: "memory",
  starter: memoryStarter,
  async createEndpoint() {
    const name = `conformance-${++made}`;
    return { endpoint: `memory:${name}`, dispose: async () => void dropMemoryStore(name) };
  },
});
