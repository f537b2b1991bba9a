/** Access control: which endpoints a submission may name, and as what. */
import type { EndpointInput, P2PQuery } from "@omni/p2p-core";
import { decodeJson } from "@omni/p2p-core/starter";
import { invalid, refused } from "../errors.ts";
import type { TransferSpec } from "../protocol.ts";

/** What an endpoint may be named as in a submission. */
export type EndpointRole = "source" | "target" | "deadLetters";

/** An endpoint with what submissions may do with it. Its database, table and options are always the worker's own. */
export interface GuardedEndpoint {
  readonly endpoint: EndpointInput | (() => EndpointInput | Promise<EndpointInput>);
  /** What it may be named as. */
  readonly roles: readonly EndpointRole[];
  /**
   * Whether it may be read by a native query, with which a submission can reach other tables and run what it likes.
   * Default `false`.
   */
  readonly native?: boolean;
}

const ROLES: readonly string[] = ["source", "target", "deadLetters"];

/** Whether an endpoint was given with what may be done with it. */
export function isGuarded(given: unknown): given is GuardedEndpoint {
  return (
    typeof given === "object" && given !== null && Object.hasOwn(given, "endpoint") && Object.hasOwn(given, "roles")
  );
}

/** @throws P2PError `INVALID_CONFIG` */
export function checkGuard(name: string, given: unknown): void {
  if (!isGuarded(given)) return;
  const { roles, native } = given as { readonly roles: unknown; readonly native?: unknown };
  if (!Array.isArray(roles) || roles.length === 0 || roles.some((role) => !ROLES.includes(role as string))) {
    throw invalid(`"roles" of the endpoint "${name}" must be a list of ${ROLES.join(", ")}`);
  }
  if (native !== undefined && typeof native !== "boolean") {
    throw invalid(`"native" of the endpoint "${name}" must be true or false`);
  }
  const unknown = Object.keys(given).find((key) => !["endpoint", "roles", "native"].includes(key));
  if (unknown !== undefined) {
    throw invalid(`the endpoint "${name}" has the unknown key "${unknown}" beside endpoint, roles and native`);
  }
}

/**
 * Makes sure that a submission asks for nothing that this worker's endpoints do not allow.
 *
 * @param find the endpoint of a name as it was given to the worker.
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function assertAllowed(spec: TransferSpec, find: (name: string) => unknown): void {
  const named: readonly [EndpointRole, string | undefined][] = [
    ["source", spec.source],
    ["target", spec.target],
    ["deadLetters", spec.deadLetters],
  ];
  for (const [role, name] of named) {
    if (name === undefined) continue;
    const given = find(name);
    if (!isGuarded(given) || given.roles.includes(role)) continue;
    throw refused(
      spec.id,
      `the endpoint "${name}" may be used as ${given.roles.join(" and ")} and not as ${role}; the worker's "roles" say so`,
    );
  }
  const source = find(spec.source);
  if (!isGuarded(source) || source.native === true) return;
  const { native } = decodeJson(spec.query) as unknown as P2PQuery;
  if (native === undefined || Object.keys(native).length === 0) return;
  throw refused(
    spec.id,
    `the endpoint "${spec.source}" may not be read by a native query; the worker can allow it with "native": true`,
  );
}
