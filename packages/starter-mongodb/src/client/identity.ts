import { createHash } from "node:crypto";
import type { StoreIdentity } from "@omni/p2p-core/starter";
import type { Db, Document } from "mongodb";
import { type CollectionHandle, type CollectionInfo, findCollection } from "./collections.ts";
import { mongodbError } from "./errors.ts";

/** Views that are followed to the collection under them. */
const MOST_VIEWS = 20;

/**
 * What tells a collection from another of the same name: the UUID that the server gives it when it is made, which stays
 * through writes, renaming, restarts and changes of its options.
 */
export async function storeIdentity(handle: CollectionHandle, signal: AbortSignal): Promise<StoreIdentity> {
  const { db, collection, label } = handle;
  try {
    const info = await findCollection(db, collection.collectionName, signal);
    if (info === undefined) return {};
    const [deployment, incarnation] = [await deploymentOf(handle, signal), await incarnationOf(db, info, signal)];
    return {
      ...(deployment !== undefined && { thing: `${deployment} ${db.databaseName}.${collection.collectionName}` }),
      ...(incarnation !== undefined && { incarnation }),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw mongodbError(error, "read", label);
  }
}

/**
 * A view has no UUID: what it says and what is under it stand for it. A time series is a view of its buckets.
 */
async function incarnationOf(db: Db, info: CollectionInfo, signal: AbortSignal): Promise<string | undefined> {
  const own = uuidOf(info);
  if (own !== undefined) return `collection ${own}`;
  const pipelines: unknown[] = [];
  let at: CollectionInfo | undefined = info;
  for (let depth = 0; at !== undefined && depth < MOST_VIEWS; depth++) {
    const uuid = uuidOf(at);
    if (uuid !== undefined) {
      const pipeline = createHash("sha256").update(JSON.stringify(pipelines)).digest("hex").slice(0, 16);
      return `view ${pipeline} of collection ${uuid}`;
    }
    pipelines.push(at.options?.pipeline ?? []);
    const under: string | undefined = at.type === "timeseries" ? `system.buckets.${at.name}` : at.options?.viewOn;
    at = under === undefined ? undefined : await findCollection(db, under, signal);
  }
  return undefined;
}

function uuidOf({ info }: CollectionInfo): string | undefined {
  const uuid = info?.uuid as { readonly buffer?: Uint8Array } | undefined;
  return uuid?.buffer === undefined ? undefined : Buffer.from(uuid.buffer).toString("hex");
}

/**
 * Which deployment it is, by what everybody may ask. A UUID alone does not tell: a restored snapshot has the same ones.
 * Nothing for a sharded cluster whose user may not read its id.
 */
async function deploymentOf({ db, dialect }: CollectionHandle, signal: AbortSignal): Promise<string | undefined> {
  const hello: Document = await db.command({ hello: 1 }, { signal });
  if (typeof hello.setName === "string") {
    // A member that is reached alone names the others too.
    return `${hello.setName}/${[...((hello.hosts as string[] | undefined) ?? [])].sort().join(",")}`;
  }
  if (hello.msg === "isdbgrid") {
    const version = await ifAllowed(signal, async () =>
      db.client.db("config").collection("version").findOne({}, { signal }),
    );
    return version?.clusterId === undefined ? undefined : `cluster ${String(version.clusterId)}`;
  }
  const process = (hello.topologyVersion as { readonly processId?: unknown } | undefined)?.processId;
  if (process !== undefined) return `server ${String(process)}`;
  if (dialect.product !== "FerretDB") return undefined;
  const status = await ifAllowed(signal, () => db.admin().command({ serverStatus: 1 }, { signal }));
  return status === null ? undefined : `server ${String(status.host)}/${String(status.pid)}`;
}

async function ifAllowed<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch {
    signal.throwIfAborted();
    return null;
  }
}
