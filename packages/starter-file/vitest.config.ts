import { defineProject } from "vitest/config";

export default defineProject({
  test: {
    name: "starter-file",
    setupFiles: ["@omni/p2p-secrecy-watch/setup"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
