/** Version negotiation with starters, and the checks that hold a store to the contract of `service.ts` as it is opened. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { P2PError } from "../errors.ts";
import { VALUE_TYPES } from "../model/value-tree.ts";
import { boundService } from "./bound-service.ts";
import type { ChangeFeed } from "./change-feed.ts";
import { type EndpointInfo, endpointLabel } from "./endpoint.ts";
import { noteOpened } from "./origins.ts";
import type { P2PQuery } from "./query.ts";
import {
  CONTRACT_VERSION,
  type P2PCapabilities,
  type P2PDataTransferService,
  type P2PStarter,
  type StoreIdentity,
} from "./service.ts";

/** The oldest version of the contract whose starters still copy: what they lack is made good where they are opened. */
const OLDEST_CONTRACT = 1;

const FLAGS = ["resumable", "countable", "partitionable", "atomicBatches", "shareable"] as const;
/** The flags that came with version 2, with the method that each promises. */
const FLAGS_OF_2 = [
  ["lookUp", "lookUp", "look-ups"],
  ["deletes", "deleteFromTarget", "deletes"],
  ["changes", "changes", "a feed of changes"],
] as const;
const METHODS = ["readFromSource", "writeToTarget", "count", "partitions", "ping", "close"] as const;
const SUPPORTS: readonly unknown[] = ["native", "tagged", "unsupported"];

/**
 * Version negotiation: refuses what is no starter, and one of a version of the contract that this core does not speak.
 *
 * @param origin how the starter came here, asked for when the message needs it; default: nothing is said of it.
 * @throws P2PError `STARTER_INCOMPATIBLE`, with the side to upgrade.
 */
export function assertStarter(storageType: string, starter: P2PStarter, origin?: () => string): void {
  if (typeof starter?.open !== "function" || typeof starter.storageType !== "string") {
    throw new P2PError(
      "STARTER_INCOMPATIBLE",
      `What was registered for '${storageType}' is not a starter: it has no open()`,
    );
  }
  const version: unknown = starter.contractVersion;
  if (Number.isInteger(version) && isBetween(version as number)) return;
  const older = !(Number(version) > CONTRACT_VERSION);
  throw new P2PError(
    "STARTER_INCOMPATIBLE",
    `The starter for '${storageType}' speaks version ${String(version)} of the adapter contract and @omni/p2p-core ` +
      `speaks ${CONTRACT_VERSION}; upgrade ${older ? "the starter" : "@omni/p2p-core"}${origin === undefined ? "" : `. ${origin()}`}`,
  );
}

function isBetween(version: number): boolean {
  return version >= OLDEST_CONTRACT && version <= CONTRACT_VERSION;
}

/** What a starter cannot do of what the contract knows, in words for people; as far as it tells before it is opened. */
export function lacksOf({ contractVersion, capabilities }: P2PStarter): string[] {
  if (capabilities === undefined && contractVersion >= CONTRACT_VERSION) return [];
  return FLAGS_OF_2.filter(([flag]) => capabilities?.[flag] !== true).map(([, , words]) => words);
}

/** What this process has of the core that asks: its version and where it lies. */
export function thisCopy(): string {
  const { version, folder } = ownPackage();
  return version === undefined ? (folder === undefined ? "in a bundle" : `in ${folder}`) : `${version} in ${folder}`;
}

/** The version of this package; `undefined` in a bundle, which has no place to look it up. */
export function coreVersion(): string | undefined {
  return ownPackage().version;
}

function ownPackage(): { readonly version?: string; readonly folder?: string } {
  // A bundler to CommonJS leaves no place.
  const here: string | undefined = import.meta.url;
  for (const up of ["../package.json", "../../package.json"]) {
    try {
      const file = fileURLToPath(new URL(up, here));
      const { name, version } = JSON.parse(readFileSync(file, "utf8")) as { name?: string; version?: string };
      if (name === "@omni/p2p-core" && version) return { version, folder: file.replace(/[\\/]package\.json$/, "") };
    } catch {
      // The next one may be there.
    }
  }
  return here === undefined ? {} : { folder: here };
}

/**
 * Opens an endpoint, and holds what was opened to what its starter says of it: a capability that is not there would be
 * found out in the middle of a transfer. Stores of an older contract get what it did not know.
 *
 * @throws P2PError `STARTER_INCOMPATIBLE` that names the starter, the capability and the way out; and what `open` throws.
 */
export async function openStore(
  starter: P2PStarter,
  endpoint: EndpointInfo,
  context: Parameters<P2PStarter["open"]>[1],
): Promise<P2PDataTransferService> {
  const service = await starter.open(endpoint, context);
  const trouble = troubleWith(service, starter.contractVersion);
  if (trouble === undefined) {
    const complete = starter.contractVersion < CONTRACT_VERSION ? ofContract2(service) : service;
    noteOpened(complete, starter, endpoint);
    return complete;
  }
  await Promise.resolve(service?.close?.()).catch(() => {});
  throw new P2PError(
    "STARTER_INCOMPATIBLE",
    `The starter for '${starter.storageType}' does not keep the adapter contract: ${trouble}. Upgrade the starter, ` +
      "or tell whoever maintains it; @omni/p2p-testkit finds such faults",
  );
}

/** What is wrong with an open store, or `undefined`. */
function troubleWith(service: P2PDataTransferService, contractVersion: number): string | undefined {
  if (typeof service !== "object" || service === null) return "open() gave no service";
  const missing = METHODS.find((name) => typeof service[name] !== "function");
  if (missing !== undefined) return `it opened a store without ${missing}()`;
  const { capabilities } = service;
  if (typeof capabilities !== "object" || capabilities === null) return "it opened a store without capabilities";
  return troubleWithCapabilities(capabilities) ?? troubleWithPromises(service, contractVersion);
}

function troubleWithCapabilities(capabilities: P2PCapabilities): string | undefined {
  const vague = FLAGS.find((flag) => typeof capabilities[flag] !== "boolean");
  if (vague !== undefined) return `capabilities.${vague} is ${shown(capabilities[vague])}, and must be true or false`;
  const { writeConcurrency, valueTypes } = capabilities;
  if (!Number.isSafeInteger(writeConcurrency) || writeConcurrency < 1) {
    return `capabilities.writeConcurrency is ${shown(writeConcurrency)}, and must be a whole number from 1 up`;
  }
  const types = (valueTypes ?? {}) as Readonly<Record<string, unknown>>;
  const untold = VALUE_TYPES.find((type) => !SUPPORTS.includes(types[type]));
  if (untold === undefined) return undefined;
  return `capabilities.valueTypes.${untold} is ${shown(types[untold])}, and must be "native", "tagged" or "unsupported"`;
}

function troubleWithPromises(service: P2PDataTransferService, contractVersion: number): string | undefined {
  for (const [flag, member] of FLAGS_OF_2) {
    const told: unknown = service.capabilities[flag];
    if (typeof told !== "boolean" && (contractVersion >= 2 || told !== undefined)) {
      return `capabilities.${flag} is ${shown(told)}, and must be true or false`;
    }
    const promised = (service as unknown as Readonly<Record<string, unknown>>)[member];
    if (told === true && promised === undefined) return `capabilities.${flag} is true, and there is no ${member}`;
  }
  return undefined;
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value).slice(0, 40);
}

/** Of a store that was made before there were identities nothing can be told, not even that it was emptied. */
const UNKNOWN: StoreIdentity = { volatile: true };

/** A store of contract 1 with what came since: it tells of no abilities that it does not have, and knows no identity. */
function ofContract2(service: P2PDataTransferService): P2PDataTransferService {
  const { rawSource, rawTarget, capabilities } = service;
  return {
    ...boundService(service),
    identity: async (signal) => service.identity?.(signal) ?? UNKNOWN,
    capabilities: { ...capabilities, ...flagsOf(capabilities) },
    ...(rawSource && { rawSource }),
    ...(rawTarget && { rawTarget }),
  };
}

function flagsOf({ lookUp = false, deletes = false, changes = false }: Partial<P2PCapabilities>) {
  return { lookUp, deletes, changes };
}

/**
 * How many records a query gives, as the store tells; `undefined` when only reading would tell.
 *
 * @throws P2PError `STARTER_INCOMPATIBLE` when the answer is no number of records.
 */
export async function countOf(
  service: P2PDataTransferService,
  query: P2PQuery,
  signal: AbortSignal,
): Promise<number | undefined> {
  const count: unknown = await service.count(query, signal);
  if (Number.isSafeInteger(count) && (count as number) >= 0) return count as number;
  if (count === undefined) return undefined;
  throw new P2PError(
    "STARTER_INCOMPATIBLE",
    `The starter of this store does not keep the adapter contract: count() gave ${shown(count)}, which is no number of ` +
      `records (capabilities.countable is ${service.capabilities.countable}). Upgrade the starter, or tell whoever maintains it; @omni/p2p-testkit finds such faults`,
  );
}

/** An open store and the endpoint that led to it. */
interface OpenedStore {
  readonly service: P2PDataTransferService;
  readonly endpoint: EndpointInfo;
}

/**
 * The look-up of a store.
 *
 * @throws P2PError `UNSUPPORTED_OPERATION` where its starter has none, with the way out.
 */
export function lookUpOf({ service, endpoint }: OpenedStore): NonNullable<P2PDataTransferService["lookUp"]> {
  if (service.capabilities.lookUp !== true || !service.lookUp)
    throw unsupported({ service, endpoint }, "look records up by their ids");
  return service.lookUp.bind(service);
}

/**
 * Refuses a target that is written in one go where single records are to be written.
 *
 * @throws P2PError `UNSUPPORTED_OPERATION`, with the way out.
 */
export function assertRewritable({ service, endpoint }: OpenedStore): void {
  if (service.sequential) throw unsupported({ service, endpoint }, "replace or delete single records");
}

/**
 * The delete of a store.
 *
 * @throws P2PError `UNSUPPORTED_OPERATION` where its starter has none, with the way out.
 */
export function deleteOf({ service, endpoint }: OpenedStore): NonNullable<P2PDataTransferService["deleteFromTarget"]> {
  if (service.capabilities.deletes !== true || !service.deleteFromTarget)
    throw unsupported({ service, endpoint }, "delete records");
  return service.deleteFromTarget.bind(service);
}

/**
 * The feed of changes of a store.
 *
 * @throws P2PError `CHANGES_UNAVAILABLE` where its starter has none, with the way out.
 */
export function changesOf({ service, endpoint }: OpenedStore): ChangeFeed {
  // One that is there though it has nothing to tell (of a view) says why.
  if (service.changes) return service.changes;
  throw new P2PError(
    "CHANGES_UNAVAILABLE",
    `${endpointLabel(endpoint)} does not tell of its changes: the starter for '${endpoint.storageType}' has no feed of them. ` +
      "Follow it by a mirror every so often: every (--every 30s)",
  );
}

function unsupported({ service, endpoint }: OpenedStore, what: string): P2PError {
  if (service.sequential || service.extent) {
    return new P2PError(
      "UNSUPPORTED_OPERATION",
      `${endpointLabel(endpoint)} cannot ${what}: a file is read and written from its beginning to its end. ` +
        "Copy it with transfer(), or load it into a store first, and take that in its place",
    );
  }
  return new P2PError(
    "UNSUPPORTED_OPERATION",
    `${endpointLabel(endpoint)} cannot ${what}: the starter for '${endpoint.storageType}' does not offer it. ` +
      `Upgrade the starter to one of contract ${CONTRACT_VERSION} that does, or copy with transfer(), which does without`,
  );
}
