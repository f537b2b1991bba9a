import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "example-keep-two-stores-equal", testTimeout: 60_000 } });
