import type { NamedEndpoints } from "../endpoints/resolve.ts";
import { findConfig, loadConfig } from "./load.ts";

/** The config file that names endpoints, loaded once and only if a name was typed. */
export function namedEndpoints(file: string | undefined): () => Promise<NamedEndpoints | undefined> {
  let loaded: Promise<NamedEndpoints> | undefined;
  return async () => {
    const found = file ?? findConfig();
    if (found === undefined) return undefined;
    loaded ??= loadConfig(found);
    return loaded;
  };
}
