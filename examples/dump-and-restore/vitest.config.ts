import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "example-dump-and-restore",
    testTimeout: 60_000,
    hookTimeout: 180_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { P2P_TEST_SERVICES: "mongodb" },
  },
});
