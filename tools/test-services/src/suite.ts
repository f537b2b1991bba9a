import { afterAll, describe, it } from "vitest";
import { type AnnouncedService, announced } from "./announcement.ts";
import { servicesAreRequired } from "./environment.ts";
import { type OptionsByKind, type ServiceKind, ServiceUnavailableError, type TestService } from "./service.ts";
import { startService } from "./start.ts";

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
  leaveOut(kind, name, service.unavailable);
}

/**
 * As {@link describeWithService}, with a server that is started for this suite alone and stopped after it. To be awaited at
 * the top of a file.
 *
 * @example
 * await describeWithOwnService("elasticsearch", { release: "9" }, "Elasticsearch 9", ({ url }) => {
 *   it("reads an index", async () => { ... });
 * });
 */
export async function describeWithOwnService<Kind extends ServiceKind>(
  kind: Kind,
  options: OptionsByKind[Kind],
  name: string,
  suite: (service: AnnouncedService) => void,
): Promise<void> {
  const shared = announced(kind);
  if (!("url" in shared)) return leaveOut(kind, name, shared.unavailable);
  let service: TestService;
  try {
    service = await startService(kind, { ...options, exclusive: true });
  } catch (error) {
    if (!(error instanceof ServiceUnavailableError)) throw error;
    return leaveOut(kind, name, error.message);
  }
  describe(name, () => {
    afterAll(() => service.stop());
    suite(service);
  });
}

function leaveOut(kind: ServiceKind, name: string, unavailable: string): void {
  const reason = `${kind} is not available: ${unavailable}`;
  if (servicesAreRequired()) throw new Error(`"${name}" must run, and ${reason}`);
  console.info(`skipped "${name}": ${reason}`);
  // Its body may want a server as early as collection, so one test stands in the report for all of its tests.
  describe.skip(`${name} (${reason})`, () => it("was not run", () => {}));
}
