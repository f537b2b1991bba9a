import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "test-services",
    include: ["test/*.test.ts"],
    testTimeout: 60_000,
    // The first run of all builds the native servers.
    hookTimeout: 900_000,
  },
});
