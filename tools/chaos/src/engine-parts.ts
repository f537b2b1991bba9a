// What the workers of the engine trials load, and the processes that they start.
import type { WorkerParts } from "@omni/p2p-engine-bullmq";

export const workerParts: WorkerParts = {
  transforms: {
    poisoned(record) {
      if (record.poison === "kill") process.kill(process.pid, "SIGKILL");
      // It never comes back from this, and says nothing meanwhile.
      if (record.poison === "block") for (;;);
      return record;
    },
  },
};
