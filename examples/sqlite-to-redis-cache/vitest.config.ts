import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "example-sqlite-to-redis-cache",
    testTimeout: 60_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { P2P_TEST_SERVICES: "redis" },
  },
});
