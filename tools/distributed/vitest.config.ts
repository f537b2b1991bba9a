import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "distributed",
    testTimeout: 240_000,
    hookTimeout: 240_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { P2P_TEST_SERVICES: "redis" },
  },
});
