import { describe, it } from "vitest";
import { type AnnouncedService, announced } from "./announcement.ts";
import { servicesAreRequired } from "./environment.ts";
import type { ServiceKind } from "./service.ts";

export type { AnnouncedService };

/**
 * A `describe` that needs a server. Where there is none it is skipped, with the reason printed and in its title; where
 * servers are required, in CI or with `P2P_REQUIRE_SERVICES=1`, that is an error.
 *
 * The server is shared with every other suite of the run: use names of your own in it, and remove what you made.
 *
 * @example
 * describeWithService("redis", "reading", ({ url }) => {
 *   it("reads a hash", async () => { ... });
 * });
 */
export function describeWithService(kind: ServiceKind, name: string, suite: (service: AnnouncedService) => void): void {
  const service = announced(kind);
  if ("url" in service) {
    describe(name, () => suite(service));
    return;
  }
  const reason = `${kind} is not available: ${service.unavailable}`;
  if (servicesAreRequired()) throw new Error(`"${name}" must run, and ${reason}`);
  console.info(`skipped "${name}": ${reason}`);
  // Its body may want a server as early as collection, so one test stands in the report for all of its tests.
  describe.skip(`${name} (${reason})`, () => it("was not run", () => {}));
}
