import { defineProject } from "vitest/config";

export default defineProject({ test: { name: "example-fastify-service", testTimeout: 60_000 } });
