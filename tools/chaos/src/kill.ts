import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Places, Store } from "@omni/p2p-matrix/stores";
import { differences, fill } from "./data.ts";
import { check, type Report } from "./report.ts";
import { saying } from "./saying.ts";

/** The directions in which a process is killed. */
const DIRECTIONS: readonly (readonly [Store, Store])[] = [
  ["sqlite", "redis"],
  ["redis", "sqlite"],
  ["sqlite", "elasticsearch"],
  ["mongodb", "sqlite"],
  ["postgresql", "sqlite"],
  ["mongodb", "postgresql"],
  ["sqlite", "file"],
  ["file", "sqlite"],
];

const RECORDS = 6000;
const BATCH = 100;
/** Writes in flight, as in the default configuration; SQLite as a target takes three, and a file one. */
const inFlight = (target: Store) => (target === "sqlite" ? 3 : target === "file" ? 1 : 4);
/** SQLite is written in the process's own thread and in one beside it by turns. */
const threadOf = (target: Store, kill: number) => (target === "sqlite" && kill % 2 === 1 ? "&thread=always" : "");

/** Kills a process that transfers, at random moments, and goes on in another one. */
export async function killProcesses(
  report: Report,
  places: Places,
  random: () => number,
  kills: number,
  meant: (...stores: readonly Store[]) => boolean,
): Promise<void> {
  for (const [from, to] of DIRECTIONS) {
    if (!meant(from, to)) continue;
    const scenario = `kill -9: ${from} -> ${to}`;
    const source = places.fresh(from);
    await fill(source, RECORDS);
    const undisturbed = places.fresh(to);
    const calm = new KilledTransfer(source, undisturbed);
    const { ms: duration } = await calm.finish().finally(() => calm.dispose());
    let late = 0;
    let most = 0;
    for (let kill = 0; kill < kills; kill++) {
      await report.run(scenario, async () => {
        const killed = await killInTime(
          () => new KilledTransfer(source, `${places.fresh(to)}${threadOf(to, kill)}`),
          random() * duration,
          random,
        );
        const { transfer, at } = killed;
        late += killed.late;
        try {
          const { sent } = await transfer.finish();
          const difference = await differences(undisturbed, transfer.target);
          check(difference === undefined, `killed after ${Math.round(at)} ms: ${difference}`);
          if (to === "file") {
            const same = bytesOf(undisturbed).equals(bytesOf(transfer.target));
            check(same, `killed after ${Math.round(at)} ms: the bytes of the file are other ones`);
          }
          const twice = sent - RECORDS;
          check(
            twice <= BATCH * inFlight(to),
            `killed after ${Math.round(at)} ms: ${twice} records were written twice`,
          );
          most = Math.max(most, twice);
          return `${most} of ${RECORDS} records written twice at most, ${BATCH * inFlight(to)} in flight; ${late} came late, repeated`;
        } finally {
          transfer.dispose();
        }
      });
    }
  }
}

function bytesOf(url: string): Buffer {
  return readFileSync(url.replace(/^file:/, ""));
}

/** Kills a transfer at a moment before its end. One that was over by then is none, and another is killed earlier. */
async function killInTime(
  start: () => KilledTransfer,
  latest: number,
  random: () => number,
): Promise<{ readonly transfer: KilledTransfer; readonly at: number; readonly late: number }> {
  let at = latest;
  for (let late = 0; ; late++) {
    const transfer = start();
    if (await transfer.killAfter(at)) return { transfer, at, late };
    transfer.dispose();
    at *= random();
  }
}

/** A transfer that goes on in one process after another. */
class KilledTransfer {
  readonly #folder = mkdtempSync(join(tmpdir(), "omni-p2p-chaos-"));
  readonly #source: string;
  readonly target: string;

  constructor(source: string, target: string) {
    this.#source = source;
    this.target = target;
  }

  #spawn(): ChildProcess {
    const script = join(import.meta.dirname, "child.ts");
    const args = [
      script,
      this.#source,
      this.target,
      "chaos",
      join(this.#folder, "state"),
      join(this.#folder, "sent.log"),
    ];
    return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  }

  /** Starts a process and kills it so long after its transfer began; returns whether it was not over by then. */
  async killAfter(ms: number): Promise<boolean> {
    const child = this.#spawn();
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_code, by) => resolve(by)));
    await saying(child, "started");
    await sleep(ms);
    child.kill("SIGKILL");
    return (await ended) === "SIGKILL";
  }

  /** Lets a process run to its end. */
  async finish(): Promise<{ ms: number; sent: number }> {
    const child = this.#spawn();
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    await saying(child, "started");
    const start = performance.now();
    const code = await ended;
    check(code === 0, `the resumed process ended with code ${code}`);
    const log = join(this.#folder, "sent.log");
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    return { ms: performance.now() - start, sent: lines.reduce((sum, line) => sum + Number(line), 0) };
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
