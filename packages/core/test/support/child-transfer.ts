// A transfer in a process of its own, to be killed: node child-transfer.ts <folder> <records> <ms per write>
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DefaultP2PTransferBridge, FileCheckpointStore, FileDeadLetterSink, P2PError } from "../../src/index.ts";
import { records, ScriptedStore, withFailures } from "./scripted-store.ts";

/** A target that is a file of ids, one a line, in which every seventh record is refused. */
export function fileTarget(file: string, msPerWrite: number): ScriptedStore {
  return new ScriptedStore([], {
    write: async (call) => {
      await new Promise((resolve) => setTimeout(resolve, msPerWrite * (1 + (call.number % 3))));
      const result = withFailures(call, ({ at }) =>
        (at as number) % 7 === 3 ? new P2PError("TYPE_MISMATCH", "every seventh") : undefined,
      );
      const failed = new Set(result.failures.map(({ index }) => index));
      appendFileSync(
        file,
        call.records.flatMap(({ id }, index) => (failed.has(index) ? [] : [`${String(id)}\n`])).join(""),
      );
      return result;
    },
  });
}

export function idsIn(file: string): string[] {
  return readFileSync(file, "utf8").split("\n").slice(0, -1);
}

export function runIn(folder: string, count: number, msPerWrite: number, resume: boolean) {
  return new DefaultP2PTransferBridge().transfer(
    { service: new ScriptedStore(records(count)), endpoint: { endpointId: "from", storageType: "scripted" } },
    {
      service: fileTarget(join(folder, "target"), msPerWrite),
      endpoint: { endpointId: "to", storageType: "scripted" },
    },
    {},
    {
      batchSize: 5,
      concurrency: 3,
      transferId: "child",
      checkpoint: new FileCheckpointStore(folder),
      deadLetters: new FileDeadLetterSink(join(folder, "letters.ndjson")),
      resume,
      retryDelay: 1,
    },
  );
}

if (import.meta.filename === process.argv[1]) {
  const [folder, count, msPerWrite] = process.argv.slice(2);
  await runIn(folder!, Number(count), Number(msPerWrite), false);
}
