import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "follow", hookTimeout: 600_000 } });
