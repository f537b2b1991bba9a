/** The protocol (IPC) between supervisor and child process, and the signals. */
import { ExitCode } from "../exit-code.ts";

/** The signals that ask the command to end, and the exit codes that tell of them. */
export const SIGNAL_CODES = {
  SIGINT: ExitCode.INTERRUPTED,
  SIGTERM: ExitCode.TERMINATED,
  SIGHUP: ExitCode.HANGUP,
} as const;

/** A signal that asks the command to end. */
export type StopSignal = keyof typeof SIGNAL_CODES;

/** What the working process tells its supervisor. */
export type ToSupervisor =
  /** A signal came here; the supervisor decides what it means. */
  | { readonly kind: "signal"; readonly name: StopSignal }
  /** It has heard that it is to stop, and does. */
  | { readonly kind: "stopping" }
  /** What to type to go on, should the work be ended by force. */
  | { readonly kind: "way"; readonly text: string | undefined }
  /** Work that has to be over within a time, in ms; and that it is over. */
  | { readonly kind: "limit"; readonly id: number; readonly ms: number; readonly message: string }
  | { readonly kind: "within"; readonly id: number }
  /** The work is done; only what a client left open still keeps the process. */
  | { readonly kind: "ended"; readonly code: ExitCode };

/** What the supervisor tells the working process. */
export type ToWork =
  /** Stop cleanly. */
  | { readonly kind: "stop"; readonly name: StopSignal }
  /** Leave at once. */
  | { readonly kind: "leave"; readonly code: ExitCode };

/** Whether another process watches over this one. */
export function isSupervised(): boolean {
  return process.connected === true;
}

/** Tells the supervisor, if there is one. What is sent has left this process even if its event loop is blocked next. */
export function tellSupervisor(message: ToSupervisor): void {
  // A supervisor that has just gone is noticed by "disconnect".
  if (isSupervised()) process.send!(message, undefined, undefined, () => {});
}

let limits = 0;

/**
 * Has the supervisor end this process when a piece of work is not over in time although it was told to: for timers of
 * this process do not fire while a store or a transform blocks its event loop.
 *
 * @param ms the time that the work has by its own timer; the supervisor waits longer.
 * @param message what is said then.
 */
export async function withinLimit<T>(ms: number, message: string, work: () => Promise<T>): Promise<T> {
  const id = limits++;
  tellSupervisor({ kind: "limit", id, ms, message });
  try {
    return await work();
  } finally {
    tellSupervisor({ kind: "within", id });
  }
}
