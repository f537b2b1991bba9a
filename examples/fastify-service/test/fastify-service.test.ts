import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import Database from "better-sqlite3";
import type { FastifyInstance } from "fastify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildApp } from "../src/app.ts";
import type { TransferState } from "../src/transfers.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-fastify-"));
const source = `sqlite:${join(folder, "knowledge.db")}?table=docs`;
const target = `sqlite:${join(folder, "copy.db")}?table=docs`;
let app: FastifyInstance;

beforeAll(async () => {
  const database = new Database(join(folder, "knowledge.db"));
  database.exec("CREATE TABLE docs (id INTEGER PRIMARY KEY, type TEXT, title TEXT)");
  const insert = database.prepare("INSERT INTO docs VALUES (?, ?, ?)");
  database.transaction(() => {
    for (let id = 1; id <= 20_000; id++) insert.run(id, id % 2 ? "note" : "knowledge", `Title ${id}`);
  })();
  database.close();
  process.chdir(folder);
  app = await buildApp(new DefaultP2PConnectionManager({ appRoot: import.meta.dirname }), { source, target });
});
afterAll(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

async function ended(id: string): Promise<TransferState> {
  for (;;) {
    const state = (await app.inject(`/transfers/${id}`)).json() as TransferState;
    if (state.status !== "running") return state;
    await sleep(20);
  }
}

it("is healthy", async () => {
  const answer = await app.inject("/health");
  expect([answer.statusCode, answer.json()]).toEqual([200, { healthy: true, status: "ESTABLISHED" }]);
});

it("runs a transfer in the background, and refuses a second one meanwhile", async () => {
  const first = await app.inject({
    method: "POST",
    url: "/transfers",
    payload: { type: "knowledge", transferId: "a" },
  });
  const second = await app.inject({ method: "POST", url: "/transfers", payload: {} });
  expect([first.statusCode, second.statusCode]).toEqual([202, 409]);
  expect(await ended("a")).toMatchObject({ status: "completed", counts: { successCount: 10_000, failureCount: 0 } });
  expect((await app.inject("/statistics")).json()).toMatchObject({ total_transfers: 1, success_count: 10_000 });
});

it("stops a transfer, which then goes on where it stopped", async () => {
  const start = () => app.inject({ method: "POST", url: "/transfers", payload: { transferId: "b" } });
  await start();
  expect((await app.inject({ method: "DELETE", url: "/transfers/b" })).statusCode).toBe(202);
  expect(await ended("b")).toMatchObject({ status: "stopped" });
  await start();
  expect(await ended("b")).toMatchObject({ status: "completed", counts: { totalRecords: 20_000 } });
});

it("refuses what it does not know", async () => {
  expect((await app.inject("/transfers/none")).statusCode).toBe(404);
  expect((await app.inject({ method: "DELETE", url: "/transfers/none" })).statusCode).toBe(404);
});

it("ends on SIGTERM, as a process", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "main.ts")], {
    cwd: folder,
    env: { ...process.env, SOURCE: source, TARGET: target, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const url = /http:\S+/.exec(line.toString())![0];
  expect((await fetch(`${url}/health`)).status).toBe(200);
  child.kill("SIGTERM");
  expect(await once(child, "exit")).toEqual([0, null]);
});
