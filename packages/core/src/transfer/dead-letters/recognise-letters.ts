/** Recognises a file of dead letters, whole or torn by a crash. */
import type { FileHandle } from "node:fs/promises";
import type { DeadLetter } from "./dead-letter.ts";

/** Bytes that are looked at, at each end of a file, to tell whether it is one of dead letters. */
const WINDOW = 64 * 1024;

/** How the line of every dead letter begins that this package has written. */
const BEGINNING = '{"transferId":';

/** What of a letter tells that it is one. */
type LetterMark = Pick<DeadLetter, "transferId" | "id" | "phase">;

/**
 * Why a stretch of a file cannot be dead letters, one a line; `undefined` when it can, by its first line and its last
 * whole one. A last line without its end was torn by a crash. An empty stretch is fine.
 *
 * @param transferId whose letters they must be; any transfer's when it is not given.
 */
export async function letterTrouble(
  handle: FileHandle,
  from: number,
  to: number,
  transferId?: string,
): Promise<string | undefined> {
  if (to <= from) return undefined;
  const head = await bytesOf(handle, from, Math.min(to, from + WINDOW));
  const firstEnd = head.indexOf(10);
  const first = firstEnd < 0 ? undefined : head.toString("utf8", 0, firstEnd);
  if (first === undefined ? !beginsLetter(head) : !isLetter(first, transferId)) return "its first line is none";
  const tail = await bytesOf(handle, Math.max(from, to - WINDOW), to);
  const lastEnd = tail.lastIndexOf(10);
  const lastStart = lastEnd < 0 ? -1 : tail.lastIndexOf(10, lastEnd - 1);
  // A line that is longer than the window is not looked at; neither is the first one again.
  if (lastEnd <= 0 || lastStart < 0) return undefined;
  return isLetter(tail.toString("utf8", lastStart + 1, lastEnd), transferId) ? undefined : "its last line is none";
}

/** The id of the transfer whose letter ends at a position, or `undefined` when none can be made out. */
export async function letterBefore(handle: FileHandle, position: number): Promise<string | undefined> {
  const tail = await bytesOf(handle, Math.max(0, position - WINDOW), position);
  if (tail.at(-1) !== 10) return undefined;
  const start = tail.lastIndexOf(10, tail.length - 2) + 1;
  return markOf(tail.toString("utf8", start, tail.length - 1))?.transferId;
}

/** The bytes of a file between two places, or as many of them as there are. */
export async function bytesOf(handle: FileHandle, from: number, to: number): Promise<Buffer> {
  const bytes = Buffer.alloc(to - from);
  let length = 0;
  while (length < bytes.length) {
    const { bytesRead } = await handle.read(bytes, length, bytes.length - length, from + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}

/** Zeros are what a loss of power leaves of what was not yet on the disk. */
function beginsLetter(bytes: Buffer): boolean {
  const text = bytes.toString("utf8", 0, BEGINNING.length).replace(/\0+$/, "");
  return BEGINNING.startsWith(text);
}

function isLetter(line: string, transferId: string | undefined): boolean {
  const mark = markOf(line);
  return mark !== undefined && (transferId === undefined || mark.transferId === transferId);
}

function markOf(line: string): LetterMark | undefined {
  try {
    const letter = JSON.parse(line) as Partial<LetterMark> | null;
    const whole =
      typeof letter?.transferId === "string" &&
      typeof letter.id === "string" &&
      (letter.phase === "read" || letter.phase === "transform" || letter.phase === "write");
    return whole ? (letter as LetterMark) : undefined;
  } catch {
    return undefined;
  }
}
