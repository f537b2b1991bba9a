import type { ConnectionConfigInput, EndpointInput, P2PQuery, Transform } from "@omni/p2p-core";

/** The query of a transfer in a config file; `where` may also be a list of conditions as `--where` takes them. */
export type FileQuery = Omit<P2PQuery, "where"> & { readonly where?: P2PQuery["where"] | readonly string[] };

/** One transfer of a config file. */
export interface FileTransfer {
  /** How it is called on the screen, by `--only` and in its id. Default: `1`, `2`, … */
  readonly name?: string;
  /** A name from `endpoints`, a URL or an object. */
  readonly source: EndpointInput;
  /** A name from `endpoints`, a URL or an object. */
  readonly target: EndpointInput;
  /** Default: everything. */
  readonly query?: FileQuery;
  /** Settings of this transfer; they go before `defaults`. */
  readonly config?: ConnectionConfigInput;
  /** A function, or a module's path beside the config file. */
  readonly transform?: Transform | string;
  /** Names the transform, so that another one is not resumed by mistake. Default: a hash of it. */
  readonly transformVersion?: string;
  /** Default: made of the name and of what is copied. */
  readonly transferId?: string;
  /** A file, an endpoint's URL, or `false`. Default: a file in the state folder. */
  readonly deadLetters?: string | false;
  /** Compare both sides afterwards. Default `false`. */
  readonly verify?: boolean;
}

/** What a `p2p.config.ts`, `.js`, `.yaml` or `.json` holds. */
export interface ConfigFile {
  /** Endpoints by name, for `transfers` and for every command. `${NAME}` in them is an environment variable. */
  readonly endpoints?: Readonly<Record<string, EndpointInput>>;
  /** Settings of all transfers. */
  readonly defaults?: ConnectionConfigInput;
  /** Run one after the other by `omni-p2p run`. */
  readonly transfers?: readonly FileTransfer[];
}

/**
 * Types a config file: it returns what it is given.
 *
 * @example
 * ```ts
 * export default defineConfig({
 *   endpoints: { docs: "sqlite:./knowledge.db?table=docs", cache: "redis://:${REDIS_PASSWORD}@localhost:6379" },
 *   transfers: [{ name: "warm-up", source: "docs", target: "cache", query: { type: "knowledge" } }],
 * });
 * ```
 */
export function defineConfig(config: ConfigFile): ConfigFile {
  return config;
}
