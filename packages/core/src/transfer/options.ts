import { randomUUID } from "node:crypto";
import { join } from "node:path";
import {
  type ConnectionConfig,
  type ConnectionConfigInput,
  MAX_TIMER_MS,
  parseConfig,
  settingNames,
} from "../config.ts";
import { assertPlain } from "../described.ts";
import { P2PError } from "../errors.ts";
import type { MutableRecord } from "../model/record.ts";
import { suggest } from "../suggest.ts";
import type { CheckpointStore } from "./checkpoint/checkpoint.ts";
import { DEFAULT_STATE_FOLDER, FileCheckpointStore, fileNameOf } from "./checkpoint/file-checkpoint.ts";
import { type Conversion, conversionOf } from "./conversion/conversion.ts";
import type { DeadLetterSink } from "./dead-letters/dead-letter.ts";
import { FileDeadLetterSink } from "./dead-letters/file-dead-letters.ts";
import type { TracedTransfer } from "./diagnostics.ts";
import { boundedCheckpoints, boundedSink, HOOK_TIMEOUT_MS } from "./hooks.ts";
import {
  DEFAULT_PROGRESS_INTERVAL_MS,
  METER,
  type Metered,
  type ProgressMeter,
  type TransferProgress,
} from "./progress.ts";
import { RateLimiter } from "./rate-limiter.ts";
import { isSchema, throughSchema } from "./schema.ts";
import { checkSince, type SinceOptions } from "./since/since-options.ts";
import type { StandardSchemaV1 } from "./standard-schema.ts";
import type { Transform, TransformTerms } from "./transform.ts";

/** What a transfer can be told beyond the settings of its connection. `In` is what the records of the source are. */
export interface RunOptions<In extends object = MutableRecord> {
  /**
   * Validates each record that was read, before the transform, by any library of Standard Schema (Zod, Valibot, ArkType). What
   * it makes of the record goes on; it must keep the `id`. A record that it refuses fails with `VALIDATION_FAILED`, and
   * the transfer goes on. It may be asynchronous. Default: none.
   */
  readonly schema?: StandardSchemaV1<unknown, In> | undefined;
  /** Default: none; records go over as they are. */
  readonly transform?: Transform<In> | undefined;
  /** Names the schema and the transform in checkpoints, so that another one is not resumed by mistake. */
  readonly transformVersion?: string | undefined;
  /**
   * How long one call of the schema and the transform may take, in ms. A record for which it takes longer fails with
   * `TRANSFORM_FAILED`, and a late answer is ignored. 0 is without a limit.
   *
   * @default `hookTimeout`
   */
  readonly transformTimeout?: number | undefined;
  /** Cancels the transfer. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Called at most every `progressInterval`, and at the end. Nobody waits for it; what it throws or rejects with is a
   * warning of the process with the code `HOOK_FAILED`, and the transfer goes on.
   */
  readonly onProgress?: ((progress: TransferProgress) => unknown) | undefined;
  /** In ms. Default 250. */
  readonly progressInterval?: number | undefined;
  /** Names the transfer, and turns checkpoints on. Default: a random UUID, and no checkpoints. */
  readonly transferId?: string | undefined;
  /** Go on from the checkpoint of `transferId`, if there is one. Default `false`: start from the beginning. */
  readonly resume?: boolean | undefined;
  /**
   * Read only what is new: the highest value of a field is remembered when a run has finished, under the `transferId`, and the next run
   * reads from there on. The first run reads all. Deletes are not seen. Default: all is read each time.
   */
  readonly since?: SinceOptions | undefined;
  /** Where checkpoints are kept: a store or a folder. Default: the folder `.omni-p2p` when `transferId` is given. */
  readonly checkpoint?: CheckpointStore | string | undefined;
  /**
   * Where failed records go: a sink, a file, or `false` to let them go. Default: the file
   * `<transferId>.dead-letters.ndjson` in the folder of checkpoints, made with the first failure. A file that is there
   * must be a dead-letter file; the letters of an earlier run in it are moved aside to a numbered name.
   */
  readonly deadLetters?: DeadLetterSink | string | false | undefined;
  /**
   * What becomes of letters of an earlier run in a file of dead letters when a new one begins: `keep` moves them aside to a
   * numbered name, `overwrite` lets them go. A sink of your own decides itself. Default `"keep"`.
   */
  readonly earlierDeadLetters?: "keep" | "overwrite" | undefined;
  /**
   * How long a call of what the application gave may take, in ms: of the transform for a record, of each method of
   * `checkpoint` and `deadLetters`. A transform that takes longer fails on its record with `TRANSFORM_FAILED`; else the
   * transfer ends with `HOOK_FAILED` or `DEAD_LETTER_FAILED`, which names the method. 0 is without a limit.
   *
   * @default 60000
   */
  readonly hookTimeout?: number | undefined;
}

/** Options of one transfer: every setting of {@link ConnectionConfigInput} for this transfer alone, and {@link RunOptions}. */
export type TransferOptions<In extends object = MutableRecord> = ConnectionConfigInput & RunOptions<In>;

/** The options of a transfer, complete and checked. */
export interface ResolvedTransfer {
  readonly config: ConnectionConfig;
  readonly transferId: string;
  readonly resume: boolean;
  readonly since: SinceOptions | undefined;
  /** What is done with each record: the conversion of types, the schema and the transform, in this order. */
  readonly transform: Transform | undefined;
  /** The conversion of types in it. */
  readonly conversion: Conversion | undefined;
  readonly transformTerms: TransformTerms;
  /** The limit of its rate, which its parts share. */
  readonly limiter: RateLimiter | undefined;
  readonly transformVersion: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: TransferProgress) => unknown) | undefined;
  readonly progressInterval: number;
  readonly checkpoints: CheckpointStore | undefined;
  readonly deadLetters: DeadLetterSink | undefined;
  /** Of the checkpoints, where they are files. */
  readonly stateFolder: string | undefined;
  readonly meter: ProgressMeter | undefined;
  /** How messages of diagnostics call it. */
  readonly traced: TracedTransfer;
}

const RUN_OPTIONS = [
  "schema",
  "transform",
  "transformVersion",
  "transformTimeout",
  "signal",
  "onProgress",
  "progressInterval",
  "transferId",
  "resume",
  "since",
  "checkpoint",
  "deadLetters",
  "earlierDeadLetters",
  "hookTimeout",
] as const satisfies readonly (keyof RunOptions)[];

/**
 * Checks the options of a transfer and completes them with the settings of its connection.
 *
 * @throws P2PError `INVALID_CONFIG`, naming the option.
 */
export function resolveTransfer(options: TransferOptions, connection?: ConnectionConfig): ResolvedTransfer {
  assertPlain("transfer options", options);
  const run: RunOptions = {};
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(options)) {
    if ((RUN_OPTIONS as readonly string[]).includes(key)) Object.assign(run, { [key]: value });
    else if (settingNames().includes(key)) settings[key] = value;
    else throw invalid(`unknown option "${key}"${suggest(key, [...settingNames(), ...RUN_OPTIONS])}`);
  }
  checkRunOptions(run);
  const meter = (options as Metered)[METER];
  const transferId = run.transferId ?? meter?.transferId ?? randomUUID();
  const wantsCheckpoints = run.transferId !== undefined || run.checkpoint !== undefined;
  const hookTimeout = run.hookTimeout ?? HOOK_TIMEOUT_MS;
  const config = parseConfig(settings, connection);
  const conversion = conversionOf(config);
  const { transform, terms } = transformStep(run, conversion);
  const store = wantsCheckpoints ? checkpointStore(run.checkpoint) : undefined;
  const sink = deadLetterSink(run, transferId);
  return {
    config,
    transferId,
    resume: run.resume ?? false,
    since: run.since,
    transform,
    conversion,
    transformTerms: terms,
    limiter: config.rateLimit === undefined ? undefined : new RateLimiter(config.rateLimit),
    transformVersion: run.transformVersion ?? (run.transform || run.schema ? "unversioned" : "none"),
    signal: run.signal,
    onProgress: run.onProgress,
    progressInterval: run.progressInterval ?? DEFAULT_PROGRESS_INTERVAL_MS,
    checkpoints: store && boundedCheckpoints(store, hookTimeout),
    deadLetters: sink && boundedSink(sink, hookTimeout),
    stateFolder: store instanceof FileCheckpointStore ? store.folder : undefined,
    meter,
    traced: { transferId },
  };
}

/** The conversion, the schema and the transform as one step, and the terms it is held to. */
export function transformStep(
  {
    schema,
    transform,
    transformTimeout,
    hookTimeout = HOOK_TIMEOUT_MS,
  }: Pick<RunOptions, "schema" | "transform" | "transformTimeout" | "hookTimeout">,
  conversion: Conversion | undefined,
): {
  readonly transform: Transform | undefined;
  readonly terms: TransformTerms;
} {
  const given = schema ? throughSchema(schema, transform) : transform;
  return {
    transform: conversion ? conversion.before(given) : given,
    terms: {
      timeoutMs: transformTimeout ?? hookTimeout,
      limitedBy: transformTimeout === undefined ? "hookTimeout" : "transformTimeout",
      maker: transform ? "transform" : schema ? "schema" : "conversion",
    },
  };
}

/** Whether a thing is a time limit, 0 for none. */
export function isTimeout(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_TIMER_MS;
}

/** What a time limit must be, in words. */
export const TIMEOUT_WORDS = `a whole number of ms from 0 to ${MAX_TIMER_MS}`;

/** What a schema must be, in words. */
export const SCHEMA_WORDS = "a schema of a library that implements Standard Schema, such as Zod or Valibot";

function checkpointStore(given: RunOptions["checkpoint"]): CheckpointStore {
  return typeof given === "object" ? given : new FileCheckpointStore(given);
}

function deadLetterSink(
  { deadLetters, earlierDeadLetters: earlier = "keep", checkpoint }: RunOptions,
  transferId: string,
): DeadLetterSink | undefined {
  if (deadLetters === false) return undefined;
  if (typeof deadLetters === "object") return deadLetters;
  if (deadLetters !== undefined) return new FileDeadLetterSink(deadLetters, { earlier });
  const folder = typeof checkpoint === "string" ? checkpoint : DEFAULT_STATE_FOLDER;
  // Nobody has named it, so a link there is none of the user's.
  return new FileDeadLetterSink(join(folder, `${fileNameOf(transferId)}.dead-letters.ndjson`), {
    earlier,
    followLinks: false,
  });
}

function checkRunOptions(run: RunOptions): void {
  const {
    schema,
    transform,
    transformVersion,
    transformTimeout,
    signal,
    onProgress,
    progressInterval,
    transferId,
    resume,
    checkpoint,
    deadLetters,
    earlierDeadLetters,
    hookTimeout,
  } = run;
  const rules: [keyof RunOptions, unknown, boolean, string][] = [
    ["schema", schema, isSchema(schema), SCHEMA_WORDS],
    ["transform", transform, typeof transform === "function", "a function"],
    ["transformTimeout", transformTimeout, isTimeout(transformTimeout), TIMEOUT_WORDS],
    ["transformVersion", transformVersion, typeof transformVersion === "string", "a string"],
    ["signal", signal, signal instanceof AbortSignal, "an AbortSignal"],
    ["onProgress", onProgress, typeof onProgress === "function", "a function"],
    [
      "earlierDeadLetters",
      earlierDeadLetters,
      earlierDeadLetters === "keep" || earlierDeadLetters === "overwrite",
      '"keep" or "overwrite"',
    ],
    [
      "progressInterval",
      progressInterval,
      Number.isFinite(progressInterval) && progressInterval! >= 0,
      "a number of ms from 0 up",
    ],
    [
      "transferId",
      transferId,
      typeof transferId === "string" && transferId !== "" && transferId.length <= 200 && transferId.isWellFormed(),
      "a string of 1 to 200 characters, without lone surrogates",
    ],
    ["resume", resume, typeof resume === "boolean", "true or false"],
    [
      "checkpoint",
      checkpoint,
      typeof checkpoint === "string" || isStore(checkpoint, "load"),
      "a folder or a CheckpointStore",
    ],
    [
      "deadLetters",
      deadLetters,
      deadLetters === false || typeof deadLetters === "string" || isStore(deadLetters, "write"),
      "a file, a DeadLetterSink or false",
    ],
    ["hookTimeout", hookTimeout, isTimeout(hookTimeout), TIMEOUT_WORDS],
  ];
  for (const [name, value, valid, wanted] of rules)
    if (value !== undefined && !valid) throw invalid(`"${name}" must be ${wanted}`);
  checkSince(run.since);
  if (run.since !== undefined && transferId === undefined)
    throw invalid('"since" needs a "transferId", under which it remembers how far it is');
  if (resume && transferId === undefined)
    throw invalid('"resume" needs the "transferId" of the transfer to go on with');
}

function isStore(value: unknown, method: string): boolean {
  return (
    typeof value === "object" && value !== null && typeof (value as Record<string, unknown>)[method] === "function"
  );
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}
