import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "example-custom-starter", testTimeout: 60_000 } });
