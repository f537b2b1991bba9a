import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "starter-postgresql",
    setupFiles: ["@omni/p2p-secrecy-watch/setup"],
    env: { P2P_TEST_SERVICES: "postgresql" },
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
