import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "fuzz", testTimeout: 120_000 } });
