/** Followers that are killed and begun again, and what they have told. */
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { check } from "@omni/p2p-chaos/report";
import { unlessLate } from "@omni/p2p-core/starter";
import { type Commits, Lags } from "./commits.ts";
import { type Told, type WatchedFollow, watchedFollow } from "./watched-follow.ts";

/** How long a process may take to end, in ms. */
const END_MS = 30_000;

/** A follower that goes on in one incarnation after another. */
export abstract class Follower {
  readonly source: string;
  readonly target: string;
  /** The name by which a source keeps its place. */
  readonly transferId: string;
  readonly folder = mkdtempSync(join(tmpdir(), "omni-p2p-follow-"));
  readonly lags: Lags;
  /** Kills of one that ran, by what it was doing. */
  readonly killed: string[] = [];
  /** Positions that were lost, and mirrors that made up for them. */
  lost = 0;
  mirrored = 0;
  /** Changes that came while everything was copied. */
  collected: number | undefined;
  status: string | undefined;
  error: string | undefined;
  readonly memory: NonNullable<Told["memory"]>[] = [];
  /** How often each change was written, from a number on. */
  readonly written = new Map<number, number>();
  countFrom = Number.POSITIVE_INFINITY;
  protected folders = [this.folder];

  constructor(source: string, target: string, transferId: string, commits: Commits) {
    this.source = source;
    this.target = target;
    this.transferId = transferId;
    this.lags = new Lags(commits);
  }

  abstract start(): Promise<void>;
  /** Ends it without a word, in the middle of whatever it does. */
  protected abstract end(): Promise<void>;
  /** Ends it as Ctrl-C does. */
  abstract stop(): Promise<void>;

  /** Kills it, and starts another one that goes on; waits until that one is at work. */
  async kill(): Promise<void> {
    this.killed.push(this.status ?? "starting");
    this.note("killed");
    await unlessLate(this.end(), END_MS, () => new Error(`a killed follower did not end within ${END_MS} ms`));
    this.status = undefined;
    await this.start();
    await this.until(() => this.status !== undefined, "told nothing after it was killed and started again");
  }

  /** Waits until something holds, as long as it has not ended with an error. */
  async until(holds: () => boolean, otherwise: string, ms = END_MS): Promise<void> {
    const began = performance.now();
    while (!holds()) {
      check(this.error === undefined, `${this.transferId} ended with: ${this.error}`);
      check(performance.now() - began < ms, `${this.transferId} ${otherwise} within ${ms} ms; it is ${this.status}`);
      await sleep(20);
    }
  }

  /** The saved checkpoint: when it was saved, and the position in it. */
  get checkpoint(): { readonly updatedAt: string; readonly position: string } {
    const file = join(this.folders.at(-1)!, `${this.transferId}.checkpoint.json`);
    const { updatedAt, follow } = JSON.parse(readFileSync(file, "utf8")) as {
      updatedAt: string;
      follow: { position: unknown };
    };
    return { updatedAt, position: JSON.stringify(follow.position) };
  }

  /** What it has told of late, for who has to find out what went wrong. */
  readonly #story: string[] = [];

  get story(): string {
    return `${this.transferId}: ${this.#story.join("; ")}`;
  }

  protected note(what: string): void {
    const at = new Date().toISOString().slice(14, 23);
    this.#story.push(`${at} ${what.slice(0, 300)}`);
    if (this.#story.length > 30) this.#story.shift();
  }

  protected hear(told: Told): void {
    const { wrote, memory } = told;
    if (!wrote && !memory) this.note(JSON.stringify(told));
    this.#enter(told);
  }

  #enter({ status, wrote, at, collected, lost, mirrored, error, memory }: Told): void {
    this.status = status ?? this.status;
    this.collected ??= collected;
    if (lost !== undefined) this.lost++;
    if (mirrored) this.mirrored++;
    if (memory) this.memory.push(memory);
    this.error ??= error;
    if (wrote === undefined) return;
    this.lags.acknowledged(wrote, at!);
    for (const change of wrote) {
      if (change >= this.countFrom) this.written.set(change, (this.written.get(change) ?? 0) + 1);
    }
  }

  /** Writes of changes from {@link countFrom} on. */
  get writes(): number {
    return [...this.written.values()].reduce((sum, times) => sum + times, 0);
  }

  async dispose(): Promise<void> {
    await unlessLate(this.end(), END_MS, () => new Error("a follower did not end")).catch((error) => {
      this.error ??= (error as Error).message;
    });
    for (const folder of this.folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** A follower in a process of its own, killed by SIGKILL. */
export class ProcessFollower extends Follower {
  readonly #isMeasured: boolean;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();

  /** @param isMeasured its memory is told. */
  constructor(source: string, target: string, transferId: string, commits: Commits, isMeasured = false) {
    super(source, target, transferId, commits);
    this.#isMeasured = isMeasured;
  }

  async start(): Promise<void> {
    const script = join(import.meta.dirname, "child.ts");
    const args = [script, this.source, this.target, this.transferId, this.folder];
    const flags = this.#isMeasured ? ["--expose-gc"] : [];
    const child = spawn(process.execPath, [...flags, ...args], { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    this.#ended = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        // A process that crashed tells nothing itself.
        if (code !== 0 && signal !== "SIGKILL") this.error ??= `exit ${code ?? signal}`;
        resolve();
      }),
    );
    createInterface({ input: child.stdout }).on("line", (line) => this.hear(JSON.parse(line) as Told));
  }

  protected async end(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
  }

  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await unlessLate(this.#ended, END_MS, () => new Error(`a follower did not end within ${END_MS} ms of SIGTERM`));
  }
}

/**
 * A follower of a store in this process, which a kill of the process would take with it: it ends with its writes cut off, and the next goes
 * on from its state folder as it stood at that moment.
 */
export class InProcessFollower extends Follower {
  #run: { readonly follow: WatchedFollow; cutOff(): void } | undefined;

  async start(): Promise<void> {
    const { source, target, transferId } = this;
    let isCutOff = false;
    const follow = await watchedFollow(
      { source, target, transferId, folder: this.folders.at(-1)! },
      (told) => {
        if (!isCutOff) this.hear(told);
      },
      () => {
        if (isCutOff) throw new Error("cut off");
      },
    );
    this.#run = {
      follow,
      cutOff() {
        isCutOff = true;
      },
    };
    follow.handle.done.catch((error) => {
      if (!isCutOff) this.error ??= (error as Error).message;
    });
  }

  protected async end(): Promise<void> {
    const run = this.#run;
    if (!run) return;
    this.#run = undefined;
    run.cutOff();
    this.folders.push(copyOf(this.folders.at(-1)!));
    await run.follow.close();
    await run.follow.handle.done.catch(() => {});
  }

  async stop(): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    await unlessLate(run!.follow.handle.stop(), END_MS, () => new Error(`stop() took more than ${END_MS} ms`));
    await run!.follow.close();
  }
}

/** A state folder as a kill leaves it. Its locks are left out: a killed process holds none, and this one lives on. */
function copyOf(folder: string): string {
  for (let tries = 1; ; tries++) {
    const copy = mkdtempSync(join(tmpdir(), "omni-p2p-follow-"));
    try {
      cpSync(folder, copy, { recursive: true, filter: (file) => !/\.lock(?:\.|$)/.test(file) });
      return copy;
    } catch (error) {
      // A file that was renamed while it was copied.
      rmSync(copy, { recursive: true, force: true });
      if (tries === 10) throw error;
    }
  }
}
