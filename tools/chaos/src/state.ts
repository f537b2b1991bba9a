// What a transfer keeps beside its stores, checkpoints and dead letters, where the folder or the clock turns against it.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError, type P2PError, type TransferOptions } from "@omni/p2p-core";
import type { Places } from "@omni/p2p-matrix/stores";
import { differences, fill, newManager } from "./data.ts";
import { check, type Report } from "./report.ts";

const RECORDS = 20_000;
const HOUR_MS = 3_600_000;

/** A write of a run that is to last until another one has come and gone, in ms. */
const SLOW_MS = 100;

/** Odd records fail, so that there are dead letters. */
const transform: TransferOptions["transform"] = (record) => {
  if (Number(record.number) % 2) throw new Error("odd records are refused here");
  return record;
};

/** Read-only folders, two containers of one host name with one folder, and a clock that is an hour off. */
export async function troubleState(report: Report, places: Places): Promise<void> {
  const source = places.fresh("sqlite");
  await fill(source, RECORDS);
  await report.run("read-only: folder of checkpoints", () => readOnly(places, source, "checkpoint"));
  await report.run("read-only: folder of dead letters", () => readOnly(places, source, "deadLetters"));
  await report.run("two containers, one host name, one folder", () => twoContainers(source, places.fresh("sqlite")));
  for (const off of [-HOUR_MS, HOUR_MS]) {
    await report.run(`clock an hour ${off < 0 ? "behind" : "ahead"}`, () =>
      hourOff(source, places.fresh("sqlite"), off),
    );
  }
}

async function readOnly(places: Places, source: string, which: "checkpoint" | "deadLetters"): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-read-only-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", folder], { stdio: "pipe" });
  try {
    const target = places.fresh("sqlite");
    const state = mkdtempSync(join(places.folder, "state-"));
    const options: TransferOptions = {
      transferId: `read-only-${which}`,
      checkpoint: which === "checkpoint" ? folder : state,
      deadLetters: join(which === "checkpoint" ? state : folder, "letters.ndjson"),
      transform,
      maxFailures: "all",
    };
    const first = await transfer(source, target, options);
    const code = which === "checkpoint" ? "CHECKPOINT_NOT_WRITABLE" : "DEAD_LETTER_FAILED";
    check(isP2PError(first, code), `it ended with ${describe(first)}, not with ${code}`);
    const moved = {
      ...options,
      checkpoint: state,
      deadLetters: join(state, "letters.ndjson"),
      resume: which !== "checkpoint",
    };
    const second = await transfer(source, target, moved);
    check(second === undefined, `what the message advises did not help: ${describe(second)}`);
    check(lines(moved.deadLetters) === RECORDS / 2, `${lines(moved.deadLetters)} dead letters of ${RECORDS / 2}`);
    return `${code}, then to the end with another folder`;
  } finally {
    execFileSync("umount", ["-l", folder], { stdio: "pipe" });
    rmSync(folder, { recursive: true, force: true });
  }
}

async function twoContainers(source: string, target: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-containers-"));
  const words = [source, target, "one", join(folder, "state"), join(folder, "sent.log")];
  const run = (writeMs = 0) => inContainer(words, true, writeMs);
  try {
    check(spawnSync("unshare", ["-p", "-f", "true"]).status === 0, "namespaces of process ids cannot be made here");
    const first = run(SLOW_MS);
    await first.said("started");
    await locked(folder);
    const second = await run().ended;
    check(second.code !== 0 && /CHECKPOINT_LOCKED/.test(second.text), `the second was not refused: ${second.text}`);
    first.child.kill("SIGKILL");
    await first.ended;
    const third = await run().ended;
    check(third.code === 0, `the lock of the killed one was not taken over: ${third.text}`);
    const difference = await differences(source, target);
    check(difference === undefined, String(difference));
    return "the second refused; the killed one's lock taken over, source and target equal";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A killed run, all files of which have times that are an hour off, is gone on with; a live one's lock is respected. */
async function hourOff(source: string, target: string, off: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "omni-p2p-clock-"));
  const state = join(folder, "state");
  const words = [source, target, "clock", state, join(folder, "sent.log")];
  const run = (writeMs = 0) => inContainer(words, false, writeMs);
  const shift = () => {
    const time = new Date(Date.now() + off);
    for (const name of readdirSync(state)) utimesSync(join(state, name), time, time);
  };
  try {
    const first = run(SLOW_MS);
    await first.said("started");
    await locked(folder);
    shift();
    const second = await run().ended;
    check(second.code !== 0 && /CHECKPOINT_LOCKED/.test(second.text), `the second was not refused: ${second.text}`);
    first.child.kill("SIGKILL");
    await first.ended;
    mkdirSync(state, { recursive: true });
    writeFileSync(join(state, "clock.checkpoint.json.4711-1.tmp"), "{");
    shift();
    const third = await run().ended;
    check(third.code === 0, `it could not be resumed: ${third.text}`);
    const difference = await differences(source, target);
    check(difference === undefined, String(difference));
    const left = readdirSync(state).filter((name) => !name.endsWith(".checkpoint.json"));
    check(left.length === 0, `left behind: ${left.join(", ")}`);
    const mode = statSync(join(state, "clock.checkpoint.json")).mode & 0o777;
    check(mode === 0o600, `the checkpoint has the mode ${mode.toString(8)}`);
    return "lock respected, killed and resumed, nothing left behind, source and target equal";
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until a run has its lock. */
async function locked(folder: string): Promise<void> {
  for (let look = 0; look < 500; look++) {
    const names = (() => {
      try {
        return readdirSync(join(folder, "state"));
      } catch {
        return [];
      }
    })();
    if (names.some((name) => name.endsWith(".lock"))) return;
    await sleep(10);
  }
  throw new Error("the first run took no lock");
}

interface Contained {
  readonly child: ChildProcess;
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>;
  said(word: string): Promise<void>;
}

/** Runs `child.ts`, as if in a container: with process ids of its own, under the host name of this machine. */
function inContainer(args: readonly string[], contained: boolean, writeMs: number): Contained {
  const script = [process.execPath, join(import.meta.dirname, "child.ts"), ...args];
  const words = contained ? ["unshare", "-p", "-f", "--kill-child", ...script] : script;
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, P2P_CHAOS_WRITE_MS: String(writeMs) },
  });
  let text = "";
  const heard: (() => void)[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      text += data.toString();
      for (const hear of heard) hear();
    });
  }
  const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
    child.once("close", (code) => resolve({ code, text })),
  );
  const said = (word: string) =>
    new Promise<void>((resolve) => {
      const hear = () => {
        if (text.includes(word)) resolve();
      };
      heard.push(hear);
      hear();
      void ended.then(() => resolve());
    });
  return { child, ended, said };
}

async function transfer(source: string, target: string, options: TransferOptions): Promise<P2PError | undefined> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(source, target);
    await manager.transferThroughConnection(connectionId, {}, options);
    return undefined;
  } catch (error) {
    return error as P2PError;
  } finally {
    await manager.close();
  }
}

function lines(file: string): number {
  return readFileSync(file, "utf8").split("\n").length - 1;
}

function describe(error: P2PError | undefined): string {
  return error ? `${error.code ?? error.name}: ${error.message}` : "success";
}
