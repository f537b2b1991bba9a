import { styleText } from "node:util";
import type { TransferProgress } from "@omni/p2p-core";
import { createLogUpdate } from "log-update";
import stringWidth from "string-width";
import { formatCount } from "./format.ts";
import type { Output } from "./output.ts";
import { startLine } from "./plain-reporter.ts";
import { progressParts, shareOf } from "./progress-parts.ts";
import type { Reporter, StartedJob } from "./reporter.ts";

const BAR_WIDTH = 24;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/** A line at the bottom of the terminal that is drawn anew a few times a second. */
export class LiveReporter implements Reporter {
  readonly interval: number;
  readonly #out: Output;
  readonly #line = createLogUpdate(process.stderr);
  #timer: NodeJS.Timeout | undefined;
  #turn = 0;
  #draw: () => string = () => "";

  constructor(out: Output, interval = 250) {
    this.#out = out;
    this.interval = interval;
  }

  start(job: StartedJob, resumed: boolean): void {
    this.#out.note(startLine(job, resumed));
    this.#show(() => `${this.#spin()} reading`);
  }

  progress(progress: TransferProgress): void {
    this.#show(() => progressLine(progress, process.stderr.columns || 80, this.#spin()));
  }

  verifying(count: number): void {
    this.#show(() => `${this.#spin()} comparing, ${formatCount(count)} records read`);
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

/** The line, as much of it as fits. */
export function progressLine(progress: TransferProgress, columns: number, spinner: string): string {
  const share = shareOf(progress);
  const head = share === undefined ? spinner : bar(share);
  let line = head;
  for (const part of progressParts(progress)) {
    const longer = `${line}  ${part}`;
    if (stringWidth(longer) >= columns) break;
    line = longer;
  }
  return line;
}

function bar(share: number): string {
  const done = Math.round(share * BAR_WIDTH);
  const full = styleText("cyan", "━".repeat(done), { stream: process.stderr });
  return `${full}${styleText("dim", "─".repeat(BAR_WIDTH - done), { stream: process.stderr })}`;
}
