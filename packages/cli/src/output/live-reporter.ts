import { styleText } from "node:util";
import type { TransferProgress } from "@omni/p2p-core";
import { createLogUpdate } from "log-update";
import stringWidth from "string-width";
import { formatCount, formatDuration } from "./format.ts";
import type { Output } from "./output.ts";
import { PROGRESS_INTERVALS_MS } from "./progress-interval.ts";
import {
  comparing,
  databaseParts,
  followParts,
  mirroring,
  progressParts,
  shareOf,
  startLine,
  underWay,
} from "./progress-text.ts";
import { RecentPace, RecentRate } from "./recent-pace.ts";
import type { DatabaseShown, FollowProgress, MirrorProgress, Reporter, StartedJob } from "./reporter.ts";

const BAR_WIDTH = 24;
/** A shorter bar tells less than nothing. */
const LEAST_BAR = 4;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** A line at the bottom of the terminal that is drawn anew a few times a second. */
export class LiveReporter implements Reporter {
  readonly interval: number;
  readonly #out: Output;
  readonly #line = createLogUpdate(process.stderr);
  #timer: NodeJS.Timeout | undefined;
  readonly #pace = new RecentPace();
  readonly #follows = new Map<string, { readonly rate: RecentRate; readonly name: string; parts: readonly string[] }>();
  #turn = 0;
  #draw: () => string = () => "";

  constructor(out: Output, interval: number = PROGRESS_INTERVALS_MS.live) {
    this.#out = out;
    this.interval = interval;
  }

  start(job: StartedJob, resumed: boolean): void {
    this.#out.note(startLine(job, resumed));
    const startedAt = performance.now();
    this.#show(() => {
      const elapsed = performance.now() - startedAt;
      const waited = elapsed < 2000 ? "" : `, ${formatDuration(elapsed)}`;
      return `${this.#spin()} waiting for the first records${waited}`;
    });
  }

  progress(told: TransferProgress): void {
    const progress = this.#pace.reckon(told);
    // The core tells of itself at once; until then there is nothing to show but how long it takes.
    if (progress.records === 0 && progress.failures === 0) return;
    this.#show(() => progressLine(progress, process.stderr.columns || 80, this.#spin()));
  }

  verifying(count: number, total: number | undefined, again?: number): void {
    this.#show(() => `${this.#spin()} ${comparing(count, total, again)}`);
  }

  mirroring(progress: MirrorProgress): void {
    this.#show(() => `${this.#spin()} ${mirroring(progress)}`);
  }

  following(progress: FollowProgress): void {
    const { transferId, name, written, deleted } = progress;
    const line = this.#follows.get(transferId) ?? { rate: new RecentRate(), name, parts: [] };
    line.parts = followParts(progress, line.rate.of(written + deleted));
    this.#follows.set(transferId, line);
    this.#show(() => this.#followLines());
  }

  followed(transferId: string): void {
    this.#follows.delete(transferId);
    if (this.#follows.size === 0) this.stop();
  }

  /** A line of each. */
  #followLines(): string {
    const columns = process.stderr.columns || 80;
    const several = this.#follows.size > 1;
    const head = (name: string) => (several ? `${this.#spin()} ${name}` : this.#spin());
    return [...this.#follows.values()].map(({ name, parts }) => fitting([head(name), ...parts], columns)).join("\n");
  }

  database(progress: DatabaseShown): void {
    this.#show(() => {
      const columns = process.stderr.columns || 80;
      // As many as leave room for the total on any terminal.
      const room = Math.max(1, (process.stderr.rows || 24) - 3);
      const lines = progress.underWay.slice(0, room).map((one) => cut(`  ${underWay(one)}`, columns));
      return [...lines, fitting([this.#spin(), ...databaseParts(progress)], columns)].join("\n");
    });
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#out.beforeLine = undefined;
    this.#line.clear();
    this.#line.done();
  }

  #spin(): string {
    return SPINNER[this.#turn % SPINNER.length]!;
  }

  #show(draw: () => string): void {
    this.#draw = draw;
    if (this.#timer !== undefined) return;
    this.#out.beforeLine = () => this.#line.clear();
    this.#render();
    // Memory and the sign of life change also while the transfer waits for a store.
    this.#timer = setInterval(() => this.#render(), 120);
    this.#timer.unref();
  }

  #render(): void {
    this.#turn++;
    this.#line(this.#draw());
  }
}

/** The line, as much of it as fits: the bar gives way to percent and count. */
export function progressLine(progress: TransferProgress, columns: number, spinner: string): string {
  const share = shareOf(progress);
  const parts = progressParts(progress);
  if (share !== undefined && stringWidth(parts[0]!) >= columns) {
    return `${Math.floor(share * 100)}%  ${formatCount(progress.records)}`;
  }
  const room = columns - stringWidth(parts[0]!) - 3;
  const head = share === undefined ? spinner : room < LEAST_BAR ? undefined : bar(share, Math.min(BAR_WIDTH, room));
  return fitting(head === undefined ? parts : [head, ...parts], columns);
}

/** As many of the parts as fit, the first at least. */
export function fitting(parts: readonly string[], columns: number): string {
  const shown: string[] = [];
  for (const part of parts) {
    if (shown.length > 0 && stringWidth([...shown, part].join("  ")) >= columns) break;
    shown.push(part);
  }
  return shown.join("  ");
}

/** A line that does not wrap. */
function cut(line: string, columns: number): string {
  return stringWidth(line) < columns ? line : `${line.slice(0, Math.max(1, columns - 2))}…`;
}

function bar(share: number, width: number): string {
  const done = Math.round(share * width);
  const full = styleText("cyan", "━".repeat(done), { stream: process.stderr });
  return `${full}${styleText("dim", "─".repeat(width - done), { stream: process.stderr })}`;
}
