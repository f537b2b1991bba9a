import { type EndpointInfo, type EndpointInput, isP2PError, type P2PStarter, parseEndpoint } from "@omni/p2p-core";
import { isSecretName, redactEndpoint } from "@omni/p2p-core/engine";
import { endpointLabel } from "@omni/p2p-core/starter";
import type { Session } from "../session/session.ts";
import { UsageError } from "../usage-error.ts";
import { addCredentials, type Side } from "./credentials.ts";
import { expandDeep, expandVariables } from "./environment.ts";
import { unguarded } from "./guarded.ts";
import { findStarter } from "./installed-starters.ts";

/** An endpoint that is ready to be opened. */
export interface ResolvedEndpoint {
  readonly endpoint: EndpointInfo;
  readonly starter: P2PStarter;
  /** How it is called on the screen: without secrets, with its options. */
  readonly shown: string;
}

/** Names of endpoints, and where else to look for starters. */
export interface NamedEndpoints {
  /** The file they are from. */
  readonly file: string;
  readonly folder: string;
  readonly endpoints: Readonly<Record<string, EndpointInput>>;
}

/** Schemes that people try, and what to write for them. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  http: "elasticsearch://host:9200/index",
  https: "elasticsearch+https://host:9200/index",
  es: "elasticsearch://host:9200/index",
  pg: "postgresql://host:5432/database?table=name",
  mongo: "mongodb://host:27017/database",
  sqlite3: "sqlite:./file.db?table=name",
};

/**
 * Makes an endpoint of what was typed: a URL, in which `${NAME}` stands for an environment variable, or a name from
 * the config file.
 *
 * @param names loads the config file; called only for a name.
 */
export async function resolveTyped(
  typed: string,
  side: Side,
  session: Session,
  names: () => Promise<NamedEndpoints | undefined>,
): Promise<ResolvedEndpoint> {
  if (!isName(typed)) return resolveGiven(expandVariables(typed, `The ${side}`), side, session, []);
  const config = await names();
  if (!config) throw noSuchName(typed, side);
  return resolveNamed(typed, side, session, config);
}

/** Makes an endpoint of what a config file says: a name from it, a URL or an object. */
export async function resolveNamed(
  given: EndpointInput,
  side: Side,
  session: Session,
  config: NamedEndpoints,
): Promise<ResolvedEndpoint> {
  const folders = [config.folder];
  if (typeof given !== "string" || !isName(given)) {
    return resolveGiven(expandDeep(given, `An endpoint in ${config.file}`) as EndpointInput, side, session, folders);
  }
  const named = Object.hasOwn(config.endpoints, given) ? config.endpoints[given] : undefined;
  if (named === undefined) {
    const known = Object.keys(config.endpoints).join(", ");
    throw new UsageError(`${config.file} has no endpoint named "${given}"; it has ${known === "" ? "none" : known}`);
  }
  const input = expandDeep(unguarded(named), `The endpoint "${given}" in ${config.file}`) as EndpointInput;
  return resolveGiven(input, side, session, folders);
}

/** A word without a colon is a name, since every URL has one. */
function isName(typed: string): boolean {
  return !typed.includes(":");
}

function noSuchName(typed: string, side: Side): UsageError {
  if (/\.(ndjson|jsonl|json|csv|tsv|parquet)(\.gz|\.zst)?$/i.test(typed)) {
    return new UsageError(`The ${side} "${typed}" is a path, not an endpoint`, `write file:${typed}`);
  }
  if (/[\\/]|\.(db|sqlite3?)$/i.test(typed)) {
    return new UsageError(
      `The ${side} "${typed}" is a path, not an endpoint`,
      `write sqlite:${typed}?table=… for an SQLite file`,
    );
  }
  return new UsageError(
    `The ${side} "${typed}" is not a URL, and there is no p2p.config file here that could name it`,
    "write a URL such as sqlite:./data.db?table=docs, or give --config <file>",
  );
}

async function resolveGiven(
  input: EndpointInput,
  side: Side,
  session: Session,
  folders: readonly string[],
): Promise<ResolvedEndpoint> {
  const parsed = parseEndpoint(input);
  const starter = await findStarter(parsed.storageType, folders).catch((error: unknown) => {
    const instead = ELSEWHERE[parsed.storageType];
    if (!isP2PError(error, "SERVICE_NOT_FOUND") || instead === undefined) throw error;
    throw new UsageError(error.message, `write ${instead}`);
  });
  const endpoint = await addCredentials(parsed, starter, side, session);
  return { endpoint, starter, shown: describeEndpoint(endpoint) };
}

/** `sqlite:./data.db?table=docs` */
export function describeEndpoint(endpoint: EndpointInfo): string {
  const options = Object.entries(redactEndpoint(endpoint).metadata ?? {})
    .filter(([name, value]) => typeof value !== "object" && !isSecretName(name))
    .map(([name, value]) => `${name}=${String(value).replace(/[%&#+\s]/g, encodeURIComponent)}`);
  const label = endpointLabel(endpoint);
  return options.length > 0 ? `${label}?${options.join("&")}` : label;
}
