// What the workers of the tests load, and the processes that they start.
import { setTimeout as sleep } from "node:timers/promises";
import type { Transform } from "@omni/p2p-core";
import type { WorkerParts } from "../../src/index.ts";

/** Records that end the process which transforms them, each in a way of its own. */
const deadly: Transform = (record) => {
  if (record.body === "kill") process.kill(process.pid, "SIGKILL");
  if (record.body === "exit") process.exit(0);
  if (record.body === "block") for (;;);
  return record;
};

/** Each takes a while. */
const slow: Transform = async (record) => {
  await sleep(5);
  return record;
};

/** Never answers, and leaves the process free to say so. */
const hanging: Transform = async (record) => {
  if (record.body === "hang") await new Promise(() => {});
  return record;
};

export const workerParts = (argument: { readonly marked?: boolean } | undefined): WorkerParts => ({
  transforms: {
    deadly,
    slow,
    hanging,
    marking: (record) => ({ ...record, body: `${argument?.marked} in ${process.pid}` }),
  },
});
