import type { ConnectionConfigInput, EndpointInput, MirrorOptions, P2PQuery, Transform } from "@omni/p2p-core";

/** The query of a transfer in a config file; `where` may also be a list of conditions as `--where` takes them. */
export type FileQuery = Omit<P2PQuery, "where"> & { readonly where?: P2PQuery["where"] | readonly string[] };

/** What a mirror and a follow in a config file are told; in a copy it is a mistake. */
export interface FileMirror {
  /** What becomes of records that only the target has. The first mirror onto a target that holds something must be told. */
  readonly deletes?: "remove" | "keep";
  /** Deletes that are borne: a number, a share such as `"5%"`, `"none"` or `"all"`. Default: 10 % of the target, at least 100. */
  readonly maxDeletes?: MirrorOptions["maxDeletes"];
  /** Empty the target where the source holds nothing. Default `false`. */
  readonly allowEmptySource?: boolean;
  /** Which records of the target are meant; `{}` for all. Default: those that meet the same conditions. */
  readonly targetQuery?: FileQuery;
}

/** What a follow in a config file is told beside that; without `mode: "follow"` it is a mistake. */
export interface FileFollow {
  /** Mirror every so often, for a source without a feed of changes: `"30s"`, or ms. Default: by the feed. */
  readonly every?: string | number;
  /** Mirror every so often beside the feed: `"24h"`, or ms. Default: never. */
  readonly reconcileEvery?: string | number;
  /** Of a follow: what keeps a second one of its id away. Default `"auto"`: a lease in the target, where that can hold one. */
  readonly lease?: "auto" | "target" | "state";
}

/** Many collections of a database in a config file, whose endpoints name databases alone. */
export interface FileDatabase {
  /** `"all"`, or patterns of names such as `"a*"`; a view must be named. Default: the one collection that the endpoints name. */
  readonly collections?: "all" | readonly string[];
  /** Patterns of those that are left out. */
  readonly exclude?: readonly string[];
  /** Names in the target, such as `"public.(.*)=$1"`. Default: those of the source. */
  readonly rename?: readonly string[];
  /** How many at a time. Default 4; a follow: all. */
  readonly jobs?: number;
}

/** One transfer of a config file. */
export interface FileTransfer extends FileMirror, FileFollow, FileDatabase {
  /** How it is called on the screen, by `--only` and in its id. Default: `1`, `2`, … */
  readonly name?: string;
  /** A name from `endpoints`, a URL or an object. */
  readonly source: EndpointInput;
  /** A name from `endpoints`, a URL or an object. */
  readonly target: EndpointInput;
  /**
   * `"copy"` brings records, `"mirror"` makes the target what the source is, deletes included, `"follow"` keeps it so until it is
   * stopped. Default `"copy"`.
   */
  readonly mode?: "copy" | "mirror" | "follow";
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
  /** Of a copy: only what is new by this field; the overlap is a time such as `"5m"`, or a number. Default: all. */
  readonly since?:
    | string
    | { readonly field: string; readonly overlap?: string | number; readonly nulls?: "note" | "fail" };
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
  /** Run one after the other by `omni-p2p run`, follows at last, side by side. */
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
