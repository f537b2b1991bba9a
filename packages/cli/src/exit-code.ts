/** How the command ends, for scripts. */
export const ExitCode = {
  /** Everything was done. */
  OK: 0,
  /** An error ended it; what had been done stays done. */
  FAILED: 1,
  /** The command, a file or an endpoint is not right; nothing was done. */
  USAGE: 2,
  /** It went to its end, but some records failed (or, in a dry run, would lose something). */
  PARTIAL: 3,
  /** The two sides are not the same. */
  DIFFERENT: 4,
  /** Of a live comparison: nothing differs that stayed the same, but some records went on changing. */
  UNSETTLED: 5,
  /** It was done, but what it had to tell could not be written: stdout is on a full disk, for instance. */
  UNWRITTEN: 74,
  /** Stopped by SIGHUP: the terminal was closed. */
  HANGUP: 129,
  /** Ctrl-C. */
  INTERRUPTED: 130,
  /** The reader of the output went away before the end. */
  BROKEN_PIPE: 141,
  /** Stopped by SIGTERM. */
  TERMINATED: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];
