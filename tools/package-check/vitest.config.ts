import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "package-check", testTimeout: 180_000, hookTimeout: 180_000 } });
