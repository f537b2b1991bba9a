import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      "packages/*/vitest.config.ts",
      "tools/*/vitest.config.ts",
      "examples/*/vitest.config.ts",
      "docs/vitest.config.ts",
      "bench/vitest.config.ts",
    ],
    reporters: ["default", "json"],
    outputFile: { json: ".cache/test-results.json" },
  },
});
