import { type ConnectionConfigInput, type FailureTolerance, isP2PError } from "@omni/p2p-core";
import { parseConfig } from "@omni/p2p-core/engine";
import type { TransferFlags } from "../flags/copy.ts";
import type { StoreFlags } from "../flags/stores.ts";
import { UsageError } from "../usage-error.ts";

/** The settings of a connection that the flags of a command ask for, checked. */
export function settingsFrom(flags: TransferFlags & StoreFlags): ConnectionConfigInput {
  const config: ConnectionConfigInput = {
    mode: flags.mode,
    batchSize: flags.batchSize,
    concurrency: flags.concurrency,
    partitions: flags.partitions,
    maxRetries: flags.maxRetries,
    transferTimeout: flags.transferTimeout,
    reconnectTimeout: flags.reconnectTimeout,
    connectionTimeout: flags.connectionTimeout,
    allowSameStore: flags.allowSameStore,
    ...conversionFrom(flags),
    rateLimit: flags.rateLimit,
    maxFailures: flags.maxFailures === undefined ? undefined : toleranceFrom(flags.maxFailures),
  };
  try {
    parseConfig(config);
  } catch (error) {
    if (!isP2PError(error)) throw error;
    // The core names its key; here the user knows it as an option.
    const message = error.message
      .replace(/^Invalid configuration: /, "")
      .replace(/^"(\w+)"/, (_, key: string) => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
    throw new UsageError(message, undefined, { cause: error });
  }
  return config;
}

/** What becomes of values' types, as it was typed; the core checks it. */
export function conversionFrom({
  as,
  recognise,
  misfits,
}: Pick<TransferFlags, "as" | "recognise" | "misfits">): Pick<ConnectionConfigInput, "as" | "recognise" | "misfits"> {
  return { as: as && (Object.fromEntries(as) as ConnectionConfigInput["as"]), recognise, misfits };
}

/** The conversion of types in settings that nobody has checked yet: what is no such thing is told later. */
export function conversionIn({
  as,
  recognise,
  misfits,
}: ConnectionConfigInput): Pick<ConnectionConfigInput, "as" | "recognise" | "misfits"> {
  return {
    as: typeof as === "object" && as !== null ? as : undefined,
    recognise: recognise === true || Array.isArray(recognise) ? recognise : undefined,
    misfits,
  };
}

/** A tolerance as it was typed: a number, a word or a share. */
export function toleranceFrom(text: string): FailureTolerance {
  return /^\d+$/.test(text) ? Number(text) : (text as FailureTolerance);
}
