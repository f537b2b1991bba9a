import type { EndpointInput } from "@omni/p2p-core";

/** An endpoint as workers take it: with the roles that submissions may give it. */
interface Guarded {
  readonly endpoint: EndpointInput;
}

/** The endpoint itself, where a config file says for workers as what it may be used; who has the file may use it at will. */
export function unguarded(given: EndpointInput): EndpointInput {
  const guarded =
    typeof given === "object" && given !== null && Object.hasOwn(given, "endpoint") && Object.hasOwn(given, "roles");
  return guarded ? (given as unknown as Guarded).endpoint : given;
}
