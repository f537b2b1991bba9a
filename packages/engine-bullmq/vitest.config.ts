import { defineProject } from "vitest/config";
import { luaEnv, luaScripts } from "../../vitest.lua.ts";

export default defineProject({
  plugins: [luaScripts()],
  test: {
    name: "engine-bullmq",
    setupFiles: ["@omni/p2p-secrecy-watch/setup"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    globalSetup: ["@omni/p2p-test-services/vitest-global-setup"],
    env: { ...luaEnv, P2P_TEST_SERVICES: "redis" },
  },
});
