import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "example-fresh-search",
    testTimeout: 90_000,
    hookTimeout: 180_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { P2P_TEST_SERVICES: "postgresql,elasticsearch" },
  },
});
