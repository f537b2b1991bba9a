import type { P2PStarter, Transform } from "@omni/p2p-core";
import type { JsonValue } from "@omni/p2p-core/starter";
import { messageOf } from "@omni/p2p-core/starter";
import type { NamedEndpoint } from "./endpoints/endpoints.ts";
import { invalid } from "./errors.ts";

/** A module of the application, which a worker and the processes that it starts load alike. */
export interface WorkerModule {
  /** Its URL, for instance `new URL("./worker-parts.js", import.meta.url).href`. */
  readonly url: string;
  /** What its function is called with. Default: nothing. */
  readonly argument?: JsonValue;
}

/** What such a module gives as `workerParts` (or by default), or from the function that this is. */
export interface WorkerParts {
  readonly endpoints?: Readonly<Record<string, NamedEndpoint>>;
  readonly starters?: readonly P2PStarter[];
  readonly transforms?: Readonly<Record<string, Transform>>;
}

/** @throws P2PError `INVALID_CONFIG` */
export async function loadWorkerModule(module: WorkerModule | undefined): Promise<WorkerParts> {
  if (module === undefined) return {};
  let parts: unknown;
  try {
    const exported = (await import(module.url)) as { readonly workerParts?: unknown; readonly default?: unknown };
    const given = exported.workerParts ?? exported.default;
    parts = typeof given === "function" ? await (given as (argument: unknown) => unknown)(module.argument) : given;
  } catch (error) {
    throw invalid(`the worker's module ${module.url} could not be loaded: ${messageOf(error)}`);
  }
  if (typeof parts !== "object" || parts === null) {
    throw invalid(
      `the worker's module ${module.url} must export "workerParts": its endpoints, starters or transforms, or a function that gives them`,
    );
  }
  return parts as WorkerParts;
}

/** The module as it is passed on. */
export function moduleOf(given: string | URL | WorkerModule | undefined): WorkerModule | undefined {
  if (given === undefined) return undefined;
  if (typeof given === "string" || given instanceof URL) return { url: String(given) };
  return { ...given, url: String(given.url) };
}
