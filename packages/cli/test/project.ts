import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { P2PRecord } from "@omni/p2p-core";
import { encodeJson } from "@omni/p2p-core/starter";

const require = createRequire(import.meta.url);

/** The folders of the packages that a project may have in its node_modules. */
const PACKAGES: Readonly<Record<string, string>> = {
  "@omni/p2p-core": dirname(require.resolve("@omni/p2p-core/package.json")),
  "@omni/p2p-cli": fileURLToPath(new URL("..", import.meta.url)),
  "@omni/p2p-starter-file": dirname(require.resolve("@omni/p2p-starter-file/package.json")),
  "@omni/p2p-starter-memory": dirname(require.resolve("@omni/p2p-starter-memory/package.json")),
  "@omni/p2p-starter-sqlite": dirname(require.resolve("@omni/p2p-starter-sqlite/package.json")),
  "@omni/p2p-starter-redis": dirname(require.resolve("@omni/p2p-starter-redis/package.json")),
  "p2p-starter-lines": fileURLToPath(new URL("./fixtures/starter-lines", import.meta.url)),
};

/** The built command. */
export const BIN = fileURLToPath(new URL("../dist/bin.js", import.meta.url));

/** What a run of the command left. */
export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A run that goes on. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Run>;
  /** Resolves when what has been printed so far, on either stream, matches. */
  seen(pattern: RegExp): Promise<void>;
}

/** A user's project in a temporary folder: a package.json as `npm init` makes it, and starters in node_modules. */
export class Project implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "omni-p2p-cli-"));

  constructor(starters: readonly string[] = ["memory", "sqlite", "lines"]) {
    const dependencies = starters.map((type) => (type === "lines" ? "p2p-starter-lines" : `@omni/p2p-starter-${type}`));
    this.write(
      "package.json",
      JSON.stringify({ type: "commonjs", dependencies: Object.fromEntries(dependencies.map((name) => [name, "*"])) }),
    );
    for (const name of ["@omni/p2p-core", "@omni/p2p-cli", ...dependencies]) this.#link(name);
  }

  #link(name: string): void {
    const path = join(this.folder, "node_modules", name);
    mkdirSync(dirname(path), { recursive: true });
    symlinkSync(PACKAGES[name]!, path, "dir");
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), content);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  /** Runs SQL in a SQLite file, by the driver that the starter has. */
  sql(file: string, text: string): void {
    const starter = createRequire(require.resolve("@omni/p2p-starter-sqlite/package.json"));
    const Database = starter("better-sqlite3") as new (path: string) => { exec(text: string): void; close(): void };
    const db = new Database(this.path(file));
    db.exec(text);
    db.close();
  }

  /** Writes records as a `lines:` store. */
  fill(name: string, records: readonly P2PRecord[]): void {
    this.write(name, records.map((record) => `${encodeJson(record)}\n`).join(""));
  }

  /** Runs the command to its end. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Run> {
    return this.start(args, env).ended;
  }

  /** Starts the command. */
  start(args: readonly string[], env: NodeJS.ProcessEnv = {}, options: SpawnOptions = {}): RunningCommand {
    return watched(process.execPath, [BIN, ...args], { cwd: this.folder, env: cleanEnv(env), ...options });
  }

  /** Starts the command on a terminal of 100 columns, by `script` of util-linux. */
  startOnTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): RunningCommand {
    const words = [process.execPath, BIN, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`);
    const command = `stty cols 100 rows 30; exec ${words.join(" ")}`;
    return watched("script", ["-qefc", command, "/dev/null"], {
      cwd: this.folder,
      env: cleanEnv({ TERM: "xterm-256color", SHELL: "/bin/sh", ...env }),
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The environment without what a CI or a shell of the tests would bring along. */
function cleanEnv(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, ...(TMPDIR !== undefined && { TMPDIR }), ...env };
}

/** Starts a program and keeps what it prints. */
export function watched(program: string, args: readonly string[], options: SpawnOptions): RunningCommand {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
  const printed = { stdout: "", stderr: "" };
  const waiting = new Set<() => void>();
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.setEncoding("utf8").on("data", (text: string) => {
      printed[name] += text;
      for (const check of waiting) check();
    });
  }
  const ended = new Promise<Run>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, ...printed }));
  });
  const seen = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!pattern.test(printed.stdout + printed.stderr)) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
      ended.then(() => reject(new Error(`${pattern} never came:\n${printed.stdout}${printed.stderr}`)), reject);
    });
  return { child, ended, seen };
}

/** `count` records with an id, a type, a number and a title. */
export function sampleRecords(count: number): P2PRecord[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `r${String(n).padStart(5, "0")}`,
    type: n % 2 === 0 ? "note" : "knowledge",
    n,
    title: `Title ${n} ünïcödé 知识`,
  }));
}

/** The lines of JSON that a command printed. */
export function events(run: Run): Record<string, unknown>[] {
  return run.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
