import { variablesOf } from "./environment.ts";
import { isAvailable, type ServiceKind, type TestService, type UnavailableService } from "./service.ts";

/** What a suite gets to know of the server that it runs against. */
export interface AnnouncedService {
  readonly url: string;
  /** `"unknown"` where the URL was set by hand and the global set-up did not run. */
  readonly product: string;
  readonly version: string;
}

/** Puts the outcome into the environment, which workers inherit. Returns how to take it out again. */
export function announce(outcome: TestService | UnavailableService): () => void {
  const names = variablesOf(outcome.kind);
  const values = isAvailable(outcome)
    ? { [names.url]: outcome.url, [names.product]: outcome.product, [names.version]: outcome.version }
    : { [names.unavailable]: outcome.unavailable };
  const before = Object.keys(values).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, values);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}

/** The server that was announced, or why there is none. */
export function announced(kind: ServiceKind): AnnouncedService | UnavailableService {
  const { url, product, version, unavailable } = variablesOf(kind);
  const {
    [url]: where,
    [product]: what = "unknown",
    [version]: which = "unknown",
    [unavailable]: reason,
  } = process.env;
  if (where) return { url: where, product: what, version: which };
  return { kind, unavailable: reason ?? `${url} is not set, and vitest's global set-up did not start a server` };
}
