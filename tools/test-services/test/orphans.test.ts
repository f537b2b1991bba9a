import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { type ServiceKind, serviceKinds } from "../src/index.ts";
import { isAlive } from "../src/native-cache.ts";
import { untilGone } from "./processes.ts";

const parent = fileURLToPath(new URL("forgetful-parent.ts", import.meta.url));
let running: number[] = [];

afterEach(() => {
  for (const pid of running.filter(isAlive)) process.kill(pid, "SIGKILL");
});

/** Starts a program that starts servers and stops none of them. */
async function start(mode: "wait" | "finish", kinds: readonly ServiceKind[]) {
  const child = spawn(process.execPath, [parent, mode, ...kinds], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  running = JSON.parse(line) as number[];
  return { pids: running, child };
}

it("leaves no server behind when its parent is killed", async () => {
  const { pids, child } = await start("wait", serviceKinds);
  expect(pids.map(isAlive)).toEqual(pids.map(() => true));
  child.kill("SIGKILL");
  await untilGone(pids);
});

it.each(["SIGTERM", "SIGINT"] as const)("leaves no server behind when its parent dies of %s", async (signal) => {
  const { pids, child } = await start("wait", ["redis", "mongodb"]);
  child.kill(signal);
  await untilGone(pids);
});

it("lets a program end that forgot to stop its servers, and ends them", async () => {
  const { pids, child } = await start("finish", ["redis", "mongodb"]);
  if (child.exitCode === null) await once(child, "exit");
  expect(child.exitCode).toBe(0);
  await untilGone(pids);
});
