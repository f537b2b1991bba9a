import type { ConnectionConfigInput } from "@omni/p2p-core";
import type { ExitCode } from "../exit-code.ts";
import type { CopyFlags } from "../flags/copy.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";
import type { TypedEnds } from "../transfer/job-from-flags.ts";
import { settingsFrom } from "../transfer/settings.ts";
import { UsageError } from "../usage-error.ts";
import { loadEngine } from "./load-engine.ts";
import { redisUrl, signing } from "./redis-url.ts";
import { watchTransfer } from "./watch.ts";

/** Partitions unless the user says otherwise. */
const PARTITIONS = 16;

/** Flags that mean nothing when others do the work. */
const NOT_HERE = [
  "stateDir",
  "sample",
  "dryRun",
  "since",
  "sinceOverlap",
  "sinceNulls",
  "deadLetterOverwrite",
] as const satisfies readonly (keyof CopyFlags)[];

/** `omni-p2p copy --distributed`: submits the copy to workers, and follows it. */
export async function distributedCopy(typed: TypedEnds, flags: CopyFlags, session: Session): Promise<ExitCode> {
  for (const side of ["source", "target"] as const) nameOnly(typed[side], `The ${side}`);
  for (const flag of NOT_HERE) {
    if (flags[flag] === undefined) continue;
    const option = `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new UsageError(`${option} has no meaning with --distributed`, "leave it out");
  }
  if (flags.deadLetter === false) {
    throw new UsageError("--no-dead-letter has no meaning with --distributed", "leave it out");
  }
  const deadLetters = typeof flags.deadLetter === "string" ? nameOnly(flags.deadLetter, "--dead-letter") : undefined;
  const transform = flags.transform === undefined ? undefined : nameOnly(flags.transform, "--transform");
  const query = queryFrom(flags);
  const config = configFrom(flags);
  const id = flags.transferId ?? `${typed.source}-to-${typed.target}-${Date.now().toString(36)}`;
  const { DistributedTransfer } = await loadEngine();
  const client = new DistributedTransfer({ connection: redisUrl(flags), ...signing() });
  try {
    const there = flags.resume ? (await client.list()).find((transfer) => transfer.id === id) : undefined;
    if (there === undefined) {
      await client.submit({
        ...{ id, source: typed.source, target: typed.target, query, config },
        partitions: flags.partitions ?? PARTITIONS,
        verify: flags.verify ? "full" : "count",
        ...(deadLetters !== undefined && { deadLetters }),
        ...(transform !== undefined && { transform }),
      });
    } else if (there.state === "paused" || there.state === "failed") {
      await client.resume(id);
    }
    return await watchTransfer(client, id, session, flags.progressInterval);
  } finally {
    await client.close();
  }
}

function configFrom(flags: CopyFlags): Omit<ConnectionConfigInput, "partitions"> {
  const { partitions: _, ...config } = settingsFrom(flags);
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== undefined));
}

/** Jobs carry names and no URLs, so that no password is in them. */
function nameOnly(text: string, what: string): string {
  if (!text.includes(":")) return text;
  throw new UsageError(
    `${what} must be a name with --distributed: the workers look it up in their own endpoints`,
    "name it under endpoints in the workers' config file, and give that name",
  );
}
