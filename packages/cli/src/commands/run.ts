import { relative, resolve } from "node:path";
import type { P2PQuery } from "@omni/p2p-core";
import { nearest } from "@omni/p2p-core/engine";
import type { ConfigFile, FileTransfer } from "../config/file.ts";
import { findConfig, type LoadedConfig, loadConfig } from "../config/load.ts";
import { resolveNamed } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { RunFlags } from "../flags/run.ts";
import { duration, overlapFrom } from "../flags/values.ts";
import { parseWhere } from "../query/where.ts";
import type { Session } from "../session/session.ts";
import type { DatabaseJobGiven } from "../transfer/database-job.ts";
import { deadLetterPlace } from "../transfer/dead-letters.ts";
import { dryRun } from "../transfer/dry-run.ts";
import type { TransferJob } from "../transfer/job.ts";
import { INLINE_TRANSFORM, replayCommandFor } from "../transfer/replay-command.ts";
import { resumeCommand, shellQuote } from "../transfer/resume-command.ts";
import { type FollowJob, runFollows } from "../transfer/run-follow.ts";
import { runMirror } from "../transfer/run-mirror.ts";
import { runTransfer } from "../transfer/run-transfer.ts";
import { deriveTransferId } from "../transfer/transfer-id.ts";
import { inlineTransform, type LoadedTransform, loadTransform } from "../transfer/transform-file.ts";
import { UsageError } from "../usage-error.ts";

type NamedTransfer = FileTransfer & { readonly name: string };

/** A follow of many collections, which has a manager of its own. */
interface DatabaseFollow {
  /** Where the file gives one. */
  readonly transferId: string | undefined;
  /** @param alone whether nothing else is told beside it. */
  follow(alone: boolean): Promise<ExitCode>;
}

/** `omni-p2p run`: one transfer after the other, and then the follows side by side, which do not end. */
export async function runCommand(file: string | undefined, flags: RunFlags, session: Session): Promise<ExitCode> {
  const path = file ?? findConfig();
  if (path === undefined) {
    throw new UsageError("There is no p2p.config file here", "omni-p2p run <file>, a .ts, .js, .yaml or .json file");
  }
  const config = await loadConfig(path);
  const transfers = chosen(config, flags.only);
  // All of them are made ready first, so that a mistake in the last is told before the first has run.
  const jobs: (() => Promise<ExitCode>)[] = [];
  const follows: FollowJob[] = [];
  const ofDatabases: DatabaseFollow[] = [];
  for (const transfer of transfers) {
    const run = await runOf(transfer, config, flags, session);
    if (typeof run === "function") jobs.push(run);
    else if ("follow" in run) ofDatabases.push(run);
    else follows.push(run);
  }
  const ids = [
    ...follows.map(({ job }) => job.transferId),
    ...ofDatabases.flatMap(({ transferId }) => transferId ?? []),
  ];
  const twice = ids.find((id, at) => ids.indexOf(id) !== at);
  if (twice !== undefined) {
    throw new UsageError(`${config.file} has two follows with the transferId "${twice}"; give each one of its own`);
  }
  if (follows.length + ofDatabases.length > 0) {
    jobs.push(() => sideBySide(follows, ofDatabases, session, flags.progressInterval));
  }
  let worst: ExitCode = ExitCode.OK;
  for (const run of jobs) {
    const code = await run();
    worst = worse(worst, code);
    if (session.signal.aborted && session.interrupts.exitCode !== undefined) break;
    if (code === ExitCode.FAILED && !flags.keepGoing) break;
  }
  return worst;
}

/** Runs all that do not end: none of them waits for another. */
async function sideBySide(
  follows: readonly FollowJob[],
  ofDatabases: readonly DatabaseFollow[],
  session: Session,
  progressInterval: number | undefined,
): Promise<ExitCode> {
  const alone = ofDatabases.length + Math.min(follows.length, 1) === 1;
  const codes = await Promise.all([
    ...(follows.length > 0 ? [runFollows(follows, session, progressInterval, alone)] : []),
    ...ofDatabases.map(({ follow }) => follow(alone)),
  ]);
  return codes.reduce(worse);
}

/** What runs a transfer as its mode says. */
async function runOf(
  transfer: NamedTransfer,
  config: LoadedConfig,
  flags: RunFlags,
  session: Session,
): Promise<(() => Promise<ExitCode>) | FollowJob | DatabaseFollow> {
  const mirror = mirrorOf(transfer);
  const follow = followOf(transfer);
  const job = await jobOf(transfer, config, flags, session);
  if (transfer.mode === "follow" || transfer.mode === "mirror") {
    if (job.config.mode !== undefined && job.config.mode !== "upsert") {
      throw new UsageError(
        `In the transfer "${transfer.name}": a ${transfer.mode} replaces what differs; leave out the setting mode`,
      );
    }
  }
  const many = databaseOf(transfer);
  if (many !== undefined) {
    const { targetQuery: _, ...mirroring } = mirror ?? {};
    const verb = transfer.mode ?? "copy";
    const given: DatabaseJobGiven = {
      ...many,
      verb,
      own: { ...mirroring, ...follow },
      transferId: transfer.transferId,
    };
    const { dryRunDatabase, runDatabase } = await import("../transfer/run-database.ts");
    if (flags.dryRun) return () => dryRunDatabase(job, given, session, undefined);
    if (verb !== "follow") return () => runDatabase(job, given, session, flags.progressInterval);
    const { transferId } = transfer;
    const going = { ...job, resume: true };
    return { transferId, follow: (alone) => runDatabase(going, given, session, flags.progressInterval, alone) };
  }
  if (follow && !flags.dryRun) {
    if (transfer.verify === true)
      throw new UsageError(
        `In the transfer "${transfer.name}": a follow has no end at which to verify; leave out verify`,
      );
    return { job: { ...job, resume: true, verify: false }, own: { ...mirror, ...follow } };
  }
  if (mirror && !follow) {
    return () => runMirror(job, { ...mirror, dryRun: flags.dryRun ?? false }, session, flags.progressInterval);
  }
  if (flags.dryRun) return () => dryRun(job, session, { timeoutMs: job.config.connectionTimeout });
  return () => runTransfer(job, session, flags.progressInterval);
}

/** Which collections a transfer is about; `undefined` where it is about the one that its endpoints name. */
function databaseOf(transfer: NamedTransfer): Pick<DatabaseJobGiven, "selection" | "jobs"> | undefined {
  const { name, collections, exclude, rename, jobs } = transfer;
  if (collections === undefined && exclude === undefined) {
    const stray = rename !== undefined ? "rename" : jobs !== undefined ? "jobs" : undefined;
    if (stray === undefined) return undefined;
    throw new UsageError(`In the transfer "${name}": ${stray} goes with collections`, 'add collections: "all"');
  }
  const stray = (["query", "targetQuery"] as const).find((key) => transfer[key] !== undefined);
  if (stray !== undefined) {
    throw new UsageError(`In the transfer "${name}": ${stray} is about one collection, and collections means many`);
  }
  if (typeof transfer.deadLetters === "string") {
    throw new UsageError(
      `In the transfer "${name}": the records that fail go to a file for each collection in the state folder; leave deadLetters out`,
    );
  }
  return { selection: { collections: collections === "all" ? undefined : collections, exclude, rename }, jobs };
}

/** What a follow is told beside what a mirror is; `undefined` for all else. */
function followOf({ name, mode, every, reconcileEvery, lease }: NamedTransfer) {
  const told = { every, reconcileEvery, lease };
  const stray = Object.entries(told).find(([, value]) => value !== undefined)?.[0];
  if (mode !== "follow") {
    if (stray === undefined) return undefined;
    throw new UsageError(`In the transfer "${name}": ${stray} is of follows`, 'add mode: "follow", or leave it out');
  }
  const inMs = (key: "every" | "reconcileEvery"): number | undefined => {
    try {
      return told[key] === undefined ? undefined : duration(String(told[key]));
    } catch {
      throw new UsageError(`In the transfer "${name}": ${key} must be a time such as "30s", "10m" or "2h"`);
    }
  };
  return { every: inMs("every"), reconcileEvery: inMs("reconcileEvery"), lease };
}

/** What a mirror and a follow are told; `undefined` for a copy. */
function mirrorOf({ name, mode, deletes, maxDeletes, allowEmptySource, targetQuery }: NamedTransfer) {
  const told = { deletes, maxDeletes, allowEmptySource, targetQuery };
  if (mode === "mirror" || mode === "follow")
    return { ...told, targetQuery: targetQuery && queryOf({ name, query: targetQuery }) };
  const stray = Object.entries(told).find(([, value]) => value !== undefined)?.[0];
  if (stray === undefined) return undefined;
  throw new UsageError(
    `In the transfer "${name}": ${stray} is of mirrors and follows`,
    'add mode: "mirror" or "follow", or leave it out',
  );
}

/** An error outweighs failed records, and those outweigh differences. */
function worse(a: ExitCode, b: ExitCode): ExitCode {
  const order: readonly ExitCode[] = [
    ExitCode.OK,
    ExitCode.DIFFERENT,
    ExitCode.PARTIAL,
    ExitCode.USAGE,
    ExitCode.FAILED,
  ];
  return order.indexOf(b) > order.indexOf(a) ? b : a;
}

function chosen({ file, transfers = [] }: LoadedConfig, only: readonly string[] | undefined): NamedTransfer[] {
  const named = transfers.map((transfer, i) => ({ ...transfer, name: transfer.name ?? String(i + 1) }));
  const names = named.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new UsageError(`${file} has two transfers named "${twice}"; give each a name of its own`);
  if (named.length === 0)
    throw new UsageError(`${file} has no transfers`, 'add transfers: [{ source: "…", target: "…" }]');
  for (const name of only ?? []) {
    if (names.includes(name)) continue;
    const near = nearest(name, names);
    throw new UsageError(
      `${file} has no transfer named "${name}"${near === undefined ? `; it has ${names.join(", ")}` : ` (did you mean ${near}?)`}`,
    );
  }
  return only === undefined ? named : named.filter(({ name }) => only.includes(name));
}

async function jobOf(
  transfer: NamedTransfer,
  config: LoadedConfig,
  flags: RunFlags,
  session: Session,
): Promise<TransferJob> {
  const { name } = transfer;
  const source = await resolveNamed(transfer.source, "source", session, config);
  const target = await resolveNamed(transfer.target, "target", session, config);
  const settings = merged(config.defaults, transfer.config);
  const query = queryOf(transfer);
  const transform = await transformOf(transfer, config.folder);
  const mode = transfer.mode === "mirror" || transfer.mode === "follow" ? transfer.mode : settings.mode;
  const subject = { source, target, query, mode, transform: transform?.place, config: settings };
  const transferId = transfer.transferId ?? `${name.replace(/[^\w.-]+/g, "-")}-${deriveTransferId(subject)}`;
  return {
    name,
    source,
    target,
    query,
    config: settings,
    transform,
    ...sinceOf(transfer),
    transferId,
    resume: flags.resume ?? false,
    stateDir: flags.stateDir,
    deadLetters: deadLetterPlace(transfer.deadLetters),
    deadLetterOverwrite: false,
    verify: flags.verify ?? transfer.verify ?? false,
    resumeCommand: resumeCommand(session.argv, {}),
    replayCommand: replayCommandFor(replayTarget(transfer, config), replayTransform(transfer, config), settings),
  };
}

/** How a copy reads only what is new. */
function sinceOf({ name, mode, since }: NamedTransfer): Pick<TransferJob, "since"> {
  if (since === undefined) return {};
  if (mode === "mirror" || mode === "follow") {
    throw new UsageError(`In the transfer "${name}": since is of copies, and a ${mode} finds what is new by itself`);
  }
  const { field, overlap, nulls } =
    typeof since === "string" ? { field: since, overlap: undefined, nulls: undefined } : since;
  try {
    return { since: { field, overlap: overlap === undefined ? undefined : overlapFrom(String(overlap)), nulls } };
  } catch {
    throw new UsageError(`In the transfer "${name}": the overlap of since must be a time such as "5m", or a number`);
  }
}

/** Settings of one transfer go before those of all; both may be written in either spelling. */
function merged(defaults: ConfigFile["defaults"], own: ConfigFile["defaults"]): NonNullable<ConfigFile["defaults"]> {
  const camel = (settings: ConfigFile["defaults"]) =>
    Object.entries(settings ?? {}).map(([key, value]) => [
      key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]);
  return Object.fromEntries([...camel(defaults), ...camel(own)]);
}

function queryOf({ name, query = {} }: Pick<NamedTransfer, "name" | "query">): P2PQuery {
  const { where, ...rest } = query;
  if (!Array.isArray(where)) return query as P2PQuery;
  try {
    return { ...rest, where: parseWhere(where as readonly string[]) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`In the transfer "${name}": ${error.message.replace("--where ", "where ")}`);
  }
}

async function transformOf(
  { transform, transformVersion }: FileTransfer,
  folder: string,
): Promise<LoadedTransform | undefined> {
  if (transform === undefined) return undefined;
  const loaded = typeof transform === "string" ? await loadTransform(transform, folder) : inlineTransform(transform);
  return transformVersion === undefined ? loaded : { ...loaded, version: transformVersion };
}

/** The target as it can be typed: its name in the file, where that file is found without being named. */
function replayTarget({ target }: FileTransfer, { file }: LoadedConfig): string {
  const text = typeof target === "string" ? target : "<target>";
  return text.includes(":") || file === findConfig()
    ? shellQuote(text)
    : `${shellQuote(text)} --config ${shellQuote(resolve(file))}`;
}

/** The transform's module as it can be typed: the file names it from its own folder, a command from where it runs. */
function replayTransform({ transform }: FileTransfer, { folder }: LoadedConfig): string | undefined {
  if (transform === undefined) return undefined;
  return typeof transform === "string" ? relative(process.cwd(), resolve(folder, transform)) : INLINE_TRANSFORM;
}
