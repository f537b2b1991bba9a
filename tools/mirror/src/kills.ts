/** Processes killed in the middle of a mirror, while others change the source, and resumed. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { check, type Report } from "@omni/p2p-chaos/report";
import { saying } from "@omni/p2p-chaos/saying";
import type { P2PDataTransferService } from "@omni/p2p-core/starter";
import type { Places, Store } from "@omni/p2p-matrix/stores";
import { addedIds, drift, fill, leftBehind, recordsOf } from "./drift.ts";
import { runVerify } from "./runs.ts";
import { openStore } from "./stores.ts";

/** The directions in which a process is killed. */
export const KILLED: readonly (readonly [source: Store, target: Store])[] = [
  ["sqlite", "sqlite"],
  ["sqlite", "redis"],
  ["redis", "postgresql"],
];

/** Records of the source at first: a hundredth each is missing, different and extra in the target. */
const RECORDS = 6000;

/** How long each write and each delete takes, in ms: 60 records each, ten at a time, so that kills fall among them. */
const CALL_MS = 30;

/** Records that the watcher asks for at a time, and its pause, in ms. */
const WATCHED = 200;
const PAUSE_MS = 15;

/** Kills a process that mirrors at random moments, and goes on in another one. */
export async function proveKills(
  report: Report,
  places: Places,
  from: Store,
  to: Store,
  kills: number,
  random: () => number,
): Promise<void> {
  const [source, target] = [places.fresh(from), places.fresh(to)];
  const [sourceStore, targetStore] = [await openStore(source), await openStore(target)];
  const run = { source, target, sourceStore, targetStore, folder: places.folder, random };
  try {
    await fill(sourceStore, RECORDS);
    await fill(targetStore, RECORDS);
    await drift(targetStore, RECORDS, 0);
    let duration = await new Killed(run, 0).undisturbed();
    let [late, looks, back] = [0, 0, 0];
    let isEqual = true;
    for (let round = 1; round <= kills; round++) {
      // One that went wrong is not to spoil the next.
      if (!isEqual) await new Killed(run, 0).undisturbed();
      isEqual = false;
      await report.run(`kill -9: mirror ${from} -> ${to}`, async () => {
        await drift(targetStore, RECORDS, round);
        for (;;) {
          const outcome = await new Killed(run, round).trial(random() * duration);
          if (outcome) {
            looks += outcome.looks;
            back += outcome.back;
            isEqual = true;
            return `${looks} looks of a watcher, ${back} records came back meanwhile; ${late} kills came late, repeated`;
          }
          late++;
          duration *= 0.95;
          await drift(targetStore, RECORDS, round);
        }
      });
    }
  } finally {
    await Promise.all([sourceStore.close(), targetStore.close()]);
  }
}

interface Run {
  readonly source: string;
  readonly target: string;
  readonly sourceStore: P2PDataTransferService;
  readonly targetStore: P2PDataTransferService;
  readonly folder: string;
  readonly random: () => number;
}

/** One mirror that is killed. */
class Killed {
  readonly #run: Run;
  readonly #state: string;
  readonly #signal = new AbortController().signal;
  readonly #round: number;
  /** In the source all the while, and in the target at first. */
  readonly #steady: readonly string[];
  readonly #back = new Set<string>();
  #looks = 0;
  #isOver = false;

  constructor(run: Run, round: number) {
    this.#run = run;
    this.#round = round;
    this.#state = mkdtempSync(join(run.folder, "killed-"));
    const missing = new Set(addedIds(RECORDS, round));
    this.#steady = recordsOf(RECORDS)
      .map(({ id }) => String(id))
      .filter((id) => !missing.has(id));
  }

  /** How long it takes, in ms, when nobody disturbs it. */
  async undisturbed(): Promise<number> {
    const startedAt = await this.#begun(this.#spawn());
    return performance.now() - startedAt;
  }

  /** `undefined` when it was over before it was killed. */
  async trial(at: number): Promise<{ looks: number; back: number } | undefined> {
    const disturbed = Promise.all([this.#watch(), this.#bringBack()]);
    // Awaited below, when the processes have ended.
    disturbed.catch(() => {});
    try {
      const first = this.#spawn();
      await saying(first, "started");
      await sleep(at);
      first.kill("SIGKILL");
      const wasKilled = (await ended(first)).signal === "SIGKILL";
      await this.#assertSteady(`after a kill at ${Math.round(at)} ms`, this.#steady);
      if (wasKilled && this.#run.random() < 0.3) {
        const second = this.#spawn();
        await saying(second, "started");
        await sleep(at * this.#run.random());
        second.kill("SIGKILL");
        await ended(second);
        await this.#assertSteady("after a second kill", this.#steady);
      }
      const { code } = await ended(this.#spawn());
      check(code === 0, `the resumed mirror ended with code ${code}`);
      this.#isOver = true;
      await disturbed;
      // What came back after its end is for the next one.
      const last = await ended(this.#spawn());
      check(last.code === 0, `the last mirror ended with code ${last.code}`);
      const { before } = await runVerify(this.#run.source, this.#run.target);
      const { missing, different, extra } = before;
      check(missing + different + extra === 0, `${missing} missing, ${different} different, ${extra} extra at the end`);
      await this.#assertSteady("at the end", [...this.#steady, ...this.#back]);
      return wasKilled ? { looks: this.#looks, back: this.#back.size } : undefined;
    } finally {
      this.#isOver = true;
      await disturbed.catch(() => {});
      rmSync(this.#state, { recursive: true, force: true });
    }
  }

  async #begun(child: ChildProcess): Promise<number> {
    await saying(child, "started");
    const startedAt = performance.now();
    const { code } = await ended(child);
    check(code === 0, `the undisturbed mirror ended with code ${code}`);
    return startedAt;
  }

  #spawn(): ChildProcess {
    const script = join(import.meta.dirname, "mirror-child.ts");
    return spawn(process.execPath, [script, this.#run.source, this.#run.target, this.#state], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, P2P_MIRROR_CALL_MS: String(CALL_MS) },
    });
  }

  /** Looks all the while whether records are there that were in the source from the beginning. */
  async #watch(): Promise<void> {
    while (!this.#isOver) {
      const start = Math.floor(this.#run.random() * this.#steady.length);
      await this.#assertSteady("meanwhile", this.#steady.slice(start, start + WATCHED));
      this.#looks++;
      await sleep(PAUSE_MS);
    }
  }

  /** Puts records into the source that only the target had, one at a time. */
  async #bringBack(): Promise<void> {
    for (const record of leftBehind(RECORDS, this.#round)) {
      await sleep(this.#run.random() * 200);
      if (this.#isOver) return;
      if (this.#run.random() < 0.5) continue;
      await this.#run.sourceStore.writeToTarget([{ ...record, title: "it came back" }], {
        mode: "upsert",
        signal: this.#signal,
      });
      this.#back.add(String(record.id));
    }
  }

  async #assertSteady(when: string, ids: readonly string[]): Promise<void> {
    const outcomes = await this.#run.targetStore.lookUp!(
      ids.map((id) => ({ id })),
      {},
      { signal: this.#signal },
    );
    const gone = ids.filter((_, at) => outcomes[at]!.state !== "wanted");
    check(gone.length === 0, `${gone.length} records were missing ${when}, for instance ${gone[0]}`);
  }
}

function ended(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  return new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
}
