import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "follow", hookTimeout: 420_000 } });
