import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "example-validate-and-dead-letters", testTimeout: 60_000 } });
