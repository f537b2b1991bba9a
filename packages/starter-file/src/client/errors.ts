/** Verdicts: what an error of the file system means to a transfer. */
import { messageOf, P2PError, type P2PErrorCode } from "@omni/p2p-core/starter";

const READING: Readonly<Record<string, readonly [P2PErrorCode, string]>> = {
  ENOENT: ["SOURCE_NOT_FOUND", "there is no such file"],
  ENOTDIR: ["SOURCE_NOT_FOUND", "a part of its path is a file and no folder"],
  EACCES: ["READ_FAILED", "this user may not read it"],
  EPERM: ["READ_FAILED", "this user may not read it"],
  EISDIR: ["INVALID_ENDPOINT", "it is a folder; name a file in it, or all with a pattern such as *.ndjson"],
  ELOOP: ["SOURCE_NOT_FOUND", "its links lead in a circle"],
};

const WRITING: Readonly<Record<string, readonly [P2PErrorCode, string]>> = {
  ENOENT: ["TARGET_NOT_WRITABLE", "its folder does not exist; make it first"],
  ENOTDIR: ["TARGET_NOT_WRITABLE", "a part of its path is a file and no folder"],
  EACCES: ["TARGET_NOT_WRITABLE", "this user may not write there"],
  EPERM: ["TARGET_NOT_WRITABLE", "this user may not write there"],
  EROFS: ["TARGET_NOT_WRITABLE", "the disk is read-only"],
  EISDIR: ["TARGET_NOT_WRITABLE", "it is a folder; name a file in it"],
  ENAMETOOLONG: ["TARGET_NOT_WRITABLE", "its name is too long for the file system"],
  ELOOP: ["TARGET_NOT_WRITABLE", "its links lead in a circle"],
  ENOSPC: ["STORAGE_FULL", "the disk is full; make room, and resume"],
  EDQUOT: ["STORAGE_FULL", "the quota of this user is used up; make room, and resume"],
  EFBIG: ["STORAGE_FULL", "the file is larger than its file system allows; write parts with partSize"],
};

/** The error of a file that is read. */
export function readError(label: string, cause: unknown): P2PError {
  return verdict(READING, "READ_FAILED", `${label} cannot be read`, cause);
}

/** The error of a file that is written. */
export function writeError(label: string, cause: unknown): P2PError {
  return verdict(WRITING, "WRITE_FAILED", `${label} cannot be written`, cause);
}

/** The error of a target that cannot be resumed. @param why as a sentence without its end. */
export function resumeError(label: string, why: string): P2PError {
  return new P2PError(
    "CHECKPOINT_MISMATCH",
    `${label} cannot be gone on with: ${why}. Start the transfer anew without resume`,
  );
}

/** The error of a write that no transfer has begun. */
export function notBegunError(label: string): P2PError {
  return new P2PError("INVALID_STATE", `${label} is written by transfers, between begin and finish`);
}

function verdict(known: typeof READING, fallback: P2PErrorCode, what: string, cause: unknown): P2PError {
  if (cause instanceof P2PError) return cause;
  const [code, why] = known[codeOf(cause) ?? ""] ?? [fallback, messageOf(cause)];
  return new P2PError(code, `${what}: ${why}`, { cause });
}

/** The code of an error of the system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}
