import { defineProject } from "vitest/config";

// Nothing in these tests needs a process of its own, and starting one for each file takes longer than most of them.
export default defineProject({
  test: { name: "core", setupFiles: ["./test/support/secrecy.ts"], isolate: false, testTimeout: 30_000 },
});
