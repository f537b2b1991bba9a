/** Where a process was when it died. */
export interface Whereabouts {
  readonly run: number;
  /** The grain that it was at; nothing before it came to any. */
  readonly grain?: number;
  /** Records of the grain that it had read. */
  readonly read?: number;
}

/** A process that a worker had started died over a piece of work, or was killed since it gave no answer. */
export class ProcessDied extends Error {
  /** For people, after "since". */
  readonly how: string;
  readonly at: Whereabouts | undefined;

  constructor(how: string, at: Whereabouts | undefined) {
    super(`A process of this worker died: ${how}`);
    this.name = "ProcessDied";
    this.how = how;
    this.at = at;
  }
}
