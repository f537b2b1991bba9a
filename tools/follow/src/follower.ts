import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What a follower's process tells; see child.ts. */
interface Told {
  readonly status?: string;
  readonly lags?: readonly number[];
  readonly lost?: string;
  readonly error?: string;
}

/** A follower that goes on in one process after another. */
export class Follower {
  readonly target: string;
  readonly #source: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "omni-p2p-follow-"));
  /** The name by which a source keeps its place. */
  readonly transferId: string;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  /** Times from sending to acknowledgement while it was live, in ms. */
  readonly lags: number[] = [];
  /** Positions that were lost, and made up for. */
  lost = 0;
  status: string | undefined;
  error: string | undefined;

  constructor(source: string, target: string, transferId: string) {
    this.#source = source;
    this.target = target;
    this.transferId = transferId;
  }

  start(): void {
    const script = join(import.meta.dirname, "child.ts");
    const args = [script, this.#source, this.target, this.transferId, this.#folder];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    this.status = undefined;
    this.#ended = new Promise((resolve) =>
      child.once("exit", (code, signal) => {
        // A process that crashed tells nothing itself.
        if (code !== 0 && signal !== "SIGKILL") this.error ??= `exit ${code ?? signal}`;
        resolve();
      }),
    );
    createInterface({ input: child.stdout }).on("line", (line) => this.#hear(JSON.parse(line) as Told));
  }

  #hear({ status, lags, lost, error }: Told): void {
    this.status = status ?? this.status;
    if (lags) this.lags.push(...lags);
    if (lost !== undefined) this.lost++;
    this.error = error ?? this.error;
  }

  /** Kills it with SIGKILL, and starts another one that goes on. */
  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
    this.start();
  }

  /** Ends it as Ctrl-C does. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGTERM");
    await this.#ended;
  }

  async dispose(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
