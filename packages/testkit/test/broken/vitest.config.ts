import { join } from "node:path";
import { defineConfig } from "vitest/config";

/** For the suites that are meant to fail, which no other run picks up. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, "../.."),
    include: ["test/broken/*.suite.ts"],
    watch: false,
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
