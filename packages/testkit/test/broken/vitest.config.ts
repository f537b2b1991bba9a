import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** For the suites that are meant to fail, which no other run picks up. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, "../.."),
    include: ["test/broken/*.suite.ts"],
    watch: false,
    // What runs side by side waits most of the time.
    maxConcurrency: 50,
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
