import type { TransferProgress } from "@omni/p2p-core";
import { formatCount, formatDuration } from "./format.ts";
import type { Output } from "./output.ts";
import { progressParts } from "./progress-parts.ts";
import type { Reporter, StartedJob } from "./reporter.ts";

/** A line now and then, for logs and pipes. */
export class PlainReporter implements Reporter {
  readonly interval: number;
  readonly #out: Output;
  #toldAt = performance.now();

  constructor(out: Output, interval = 5000) {
    this.#out = out;
    this.interval = interval;
  }

  start(job: StartedJob, resumed: boolean): void {
    this.#out.note(startLine(job, resumed));
  }

  progress(progress: TransferProgress): void {
    // The core also tells of the end, which the result says better.
    if (performance.now() - this.#toldAt < this.interval) return;
    this.#toldAt = performance.now();
    this.#out.note(`${formatDuration(progress.elapsedMs)}: ${progressParts(progress).join(", ")}`);
  }

  verifying(count: number): void {
    if (performance.now() - this.#toldAt < this.interval) return;
    this.#toldAt = performance.now();
    this.#out.note(`comparing: ${formatCount(count)} records read`);
  }

  stop(): void {}
}

/** `copy sqlite:a.db?table=docs → redis://localhost (transfer sqlite-redis-0a1b2c3d)` */
export function startLine({ name, source, target, transferId }: StartedJob, resumed: boolean): string {
  return `${name}: ${source.shown} → ${target.shown} (${resumed ? "resuming" : "transfer"} ${transferId})`;
}
