import { isP2PError, type P2PErrorCode } from "@omni/p2p-core";
import { messageOf } from "@omni/p2p-core/starter";
import { ExitCode } from "../exit-code.ts";
import type { ShownError } from "../output/output.ts";
import { UsageError } from "../usage-error.ts";

/** Errors that tell of the command or the set-up, found before anything was done. */
const USAGE_CODES: ReadonlySet<P2PErrorCode> = new Set([
  "SERVICE_NOT_FOUND",
  "STARTER_INCOMPATIBLE",
  "INVALID_CONFIG",
  "INVALID_ENDPOINT",
  "INVALID_QUERY",
  "UNSUPPORTED_QUERY",
  "SAME_STORE",
  "CERTIFICATE_INVALID",
  "FOREIGN_KEY_CIRCLE",
]);

/** What to type next where the message itself does not say it. */
const NEXT: Partial<Record<P2PErrorCode, string>> = {
  AUTHENTICATION_FAILED:
    "set P2P_SOURCE_PASSWORD or P2P_TARGET_PASSWORD (P2P_…_USERNAME, P2P_…_API_KEY), or run it on a terminal to be asked",
  CHECKPOINT_MISMATCH: "the same command without --resume, to start anew",
  STORE_CHANGED: "the same command without --resume, to start anew",
  CHECKPOINT_INVALID: "the same command without --resume, to start anew",
  CHECKPOINT_NOT_WRITABLE: "the same command with --state-dir <a folder that can be written>",
  DEAD_LETTER_FAILED: "the same command with --dead-letter <a file that can be written>",
  TIMEOUT: "the same command with a longer --connection-timeout or --transfer-timeout",
};

/** Names of the core's that have another one here. */
const OPTION_NAMES: readonly (readonly [RegExp, string])[] = [
  [/\bdeadLetters\b/g, "--dead-letter"],
  [/\btransferId\b/g, "--transfer-id"],
  [/\bmaxDeletes\b/g, "--max-deletes"],
  [/\btargetQuery\b/g, "--target-where"],
  [/\({} for all of them\)/g, "(all for all of them)"],
  [/\ballowEmptySource\b/g, "--allow-empty-source"],
  [/\bdeletes: "remove"/g, "--deletes remove"],
  [/\bdeletes: "keep"/g, "--deletes keep"],
  [/\bcheckpoint folder\b/g, "--state-dir folder"],
  [/\bset allow_same_store\b/g, "add --allow-same-store"],
  [/\b(max_failures|transfer_timeout|connection_timeout|auto_reconnect)\b/g, "$1"],
  [/\bwithout resume\b/g, "without --resume"],
];

/** The core's message in the words of the command line. */
function inOurWords(message: string): string {
  return OPTION_NAMES.reduce(
    (text, [name, ours]) => text.replace(name, (word) => (ours === "$1" ? `--${word.replaceAll("_", "-")}` : ours)),
    message,
  );
}

/** An error as people and programs are told of it. */
export function explain(error: unknown, next?: string): ShownError & { readonly exitCode: ExitCode } {
  const details = process.env.OMNI_P2P_DEBUG ? stackOf(error) : undefined;
  if (error instanceof UsageError) {
    return { code: "USAGE", message: error.message, next: error.next, details, exitCode: ExitCode.USAGE };
  }
  if (!isP2PError(error)) {
    const message = `Unexpected error: ${messageOf(error)}`;
    return {
      code: "UNEXPECTED",
      message,
      next: "the same command with OMNI_P2P_DEBUG=1 before it, to see where",
      details,
      exitCode: ExitCode.FAILED,
    };
  }
  const exitCode = USAGE_CODES.has(error.code) ? ExitCode.USAGE : ExitCode.FAILED;
  return { code: error.code, message: inOurWords(error.message), next: next ?? NEXT[error.code], details, exitCode };
}

/** Stack and causes. */
function stackOf(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error && parts.length < 8; at = at.cause)
    parts.push(at.stack ?? at.message);
  return parts.join("\nCaused by: ");
}
