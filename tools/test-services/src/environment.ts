import type { ServiceKind } from "./service.ts";

/** The variables that hold what is known of a server: set by hand, or by the main process of vitest for its workers. */
export function variablesOf(kind: ServiceKind): Record<"url" | "product" | "version" | "unavailable", string> {
  const prefix = `P2P_TEST_${kind.toUpperCase()}`;
  return {
    url: `${prefix}_URL`,
    product: `${prefix}_PRODUCT`,
    version: `${prefix}_VERSION`,
    unavailable: `${prefix}_UNAVAILABLE`,
  };
}

/** Whether a server that cannot be had is a failure, and not just a reason to skip: in CI, or when asked for. */
export function servicesAreRequired(): boolean {
  return Boolean(process.env.CI) || process.env.P2P_REQUIRE_SERVICES === "1";
}
