import type { TransferProgress } from "@omni/p2p-core";
import { formatDuration } from "./format.ts";
import type { Output } from "./output.ts";
import { PROGRESS_INTERVALS_MS } from "./progress-interval.ts";
import {
  comparing,
  databaseParts,
  followParts,
  mirroring,
  progressParts,
  startLine,
  underWay,
} from "./progress-text.ts";
import { RecentPace, RecentRate } from "./recent-pace.ts";
import type { DatabaseShown, FollowProgress, MirrorProgress, Reporter, StartedJob } from "./reporter.ts";

/** A line now and then, for logs and pipes. */
export class PlainReporter implements Reporter {
  readonly interval: number;
  readonly #out: Output;
  readonly #pace = new RecentPace();
  readonly #follows = new Map<string, { readonly rate: RecentRate; toldAt: number }>();
  #toldAt = performance.now();

  constructor(out: Output, interval: number = PROGRESS_INTERVALS_MS.plain) {
    this.#out = out;
    this.interval = interval;
  }

  start(job: StartedJob, resumed: boolean): void {
    this.#out.note(startLine(job, resumed));
  }

  progress(told: TransferProgress): void {
    const progress = this.#pace.reckon(told);
    // The core also tells of the end, which the result says better.
    if (performance.now() - this.#toldAt < this.interval) return;
    this.#toldAt = performance.now();
    const waiting = progress.records === 0 && progress.failures === 0;
    const parts = waiting ? ["waiting for the first records"] : progressParts(progress);
    this.#out.note(`${formatDuration(progress.elapsedMs)}: ${parts.join(", ")}`);
  }

  verifying(count: number, total: number | undefined, again?: number): void {
    this.#now(() => comparing(count, total, again));
  }

  mirroring(progress: MirrorProgress): void {
    this.#now(() => mirroring(progress));
  }

  following(progress: FollowProgress): void {
    const { transferId, name, written, deleted, elapsedMs } = progress;
    const now = performance.now();
    const told = this.#follows.get(transferId) ?? { rate: new RecentRate(), toldAt: now };
    this.#follows.set(transferId, told);
    const rate = told.rate.of(written + deleted);
    if (now - told.toldAt < this.interval) return;
    told.toldAt = now;
    const which = this.#follows.size > 1 ? `${name}: ` : "";
    this.#out.note(`${which}${formatDuration(elapsedMs)}: ${followParts(progress, rate).join(", ")}`);
  }

  followed(transferId: string): void {
    this.#follows.delete(transferId);
  }

  database(progress: DatabaseShown): void {
    this.#now(() =>
      [
        `${formatDuration(progress.elapsedMs)}: ${databaseParts(progress).join(", ")}`,
        ...progress.underWay.map((one) => `  ${underWay(one)}`),
      ].join("\n"),
    );
  }

  #now(text: () => string): void {
    if (performance.now() - this.#toldAt < this.interval) return;
    this.#toldAt = performance.now();
    this.#out.note(text());
  }

  stop(): void {}
}
