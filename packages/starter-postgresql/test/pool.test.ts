import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Connection } from "../src/client/connection.ts";
import { Pool } from "../src/client/pool.ts";
import { calm } from "./support.ts";

it("waits for a connection of its own where the server is full, and does not ask it again and again", async () => {
  const connection = { isAlive: true, onGone: () => {}, destroy() {} } as unknown as Connection;
  let opened = 0;
  let isFull = true;
  const open = async () => {
    await sleep(1);
    if (opened++ === 0 || !isFull) return connection;
    throw Object.assign(new Error("too many clients"), { code: "53300", severity: "FATAL" });
  };
  const pool = new Pool(open, 8, "a server");
  expect(await pool.acquire(calm)).toBe(connection);
  const served = [1, 2, 3].map(async (number) => {
    pool.release(await pool.acquire(calm));
    return number;
  });
  await sleep(200);
  // Once for each of them.
  expect(opened).toBe(4);
  pool.release(connection);
  expect(await Promise.all(served)).toEqual([1, 2, 3]);

  expect(await pool.acquire(calm)).toBe(connection);
  const next = pool.acquire(calm);
  await sleep(50);
  // Another program has left the server.
  isFull = false;
  expect(await next).toBe(connection);
});
