import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "mirror",
    testTimeout: 300_000,
    hookTimeout: 120_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { P2P_TEST_SERVICES: "redis mongodb elasticsearch postgresql" },
  },
});
