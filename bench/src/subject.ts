import { join } from "node:path";
import { sourceFile, workFolder } from "./data.ts";
import { emptyPlace } from "./empty.ts";
import { inFreshProcess, type Job } from "./job.ts";
import type { Once, OnceJob } from "./once.ts";
import type { Store } from "./places.ts";
import type { Servers } from "./servers.ts";
import type { ShapeName } from "./shapes.ts";
import type { Sources } from "./sources.ts";

/** What is to be measured, and where. */
export interface Subject {
  readonly from: Store;
  readonly to: Store;
  readonly shape: ShapeName;
  readonly sources: Sources;
  readonly servers: Servers;
}

/** The subject with so many records; its source is filled. */
export async function jobOf({ from, to, shape, sources, servers }: Subject, records: number): Promise<Job> {
  return {
    from: await sources.get(from, shape, records),
    to: { store: to, server: await servers.url(to), name: targetName(to) },
    shape,
    file: sourceFile(shape, records),
  };
}

function targetName(store: Store): string {
  if (store === "sqlite") return join(workFolder, "target.db");
  return store === "redis" ? "0" : "target";
}

/** One run in a fresh process, into an empty place. */
export async function runOnce(job: Job, which: OnceJob["which"], flags: readonly string[] = []): Promise<Once> {
  await emptyPlace(job.to);
  const result = await inFreshProcess<Once, OnceJob>("once", { ...job, which }, flags);
  await emptyPlace(job.to);
  return result;
}
