import type { TransferProgress } from "@omni/p2p-core";
import type { Output } from "./output.ts";
import { PROGRESS_INTERVALS_MS } from "./progress-interval.ts";
import type { DatabaseShown, FollowProgress, MirrorProgress, Reporter, StartedJob } from "./reporter.ts";

/** One JSON object a line. */
export class JsonReporter implements Reporter {
  readonly interval: number;
  readonly #out: Output;
  #toldAt = 0;
  readonly #toldOf = new Map<string, number>();

  constructor(out: Output, interval: number = PROGRESS_INTERVALS_MS.json) {
    this.#out = out;
    this.interval = interval;
  }

  start(job: StartedJob, resumed: boolean): void {
    const { name, transferId, source, target } = job;
    this.#out.event({ event: "start", name, transferId, source: source.shown, target: target.shown, resumed });
  }

  progress(progress: TransferProgress): void {
    this.#out.event({ event: "progress", ...progress, memoryBytes: process.memoryUsage.rss() });
  }

  verifying(count: number, total: number | undefined, again?: number): void {
    if (!this.#isDue()) return;
    const known = { ...(total !== undefined && { total }), ...(again !== undefined && { again }) };
    this.#out.event({ event: "verify-progress", records: count, ...known });
  }

  mirroring({ phase, records, total }: MirrorProgress): void {
    if (!this.#isDue()) return;
    this.#out.event({ event: "mirror-progress", phase, records, ...(total !== undefined && { total }) });
  }

  database(progress: DatabaseShown): void {
    if (!this.#isDue()) return;
    this.#out.event({ event: "database-progress", ...progress, memoryBytes: process.memoryUsage.rss() });
  }

  following(progress: FollowProgress): void {
    const { transferId } = progress;
    const now = performance.now();
    if (now - (this.#toldOf.get(transferId) ?? 0) < this.interval) return;
    this.#toldOf.set(transferId, now);
    this.#out.event({ event: "follow-progress", ...progress, memoryBytes: process.memoryUsage.rss() });
  }

  followed(transferId: string): void {
    this.#toldOf.delete(transferId);
  }

  #isDue(): boolean {
    if (performance.now() - this.#toldAt < this.interval) return false;
    this.#toldAt = performance.now();
    return true;
  }

  stop(): void {}
}
