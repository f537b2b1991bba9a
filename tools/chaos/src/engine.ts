import type { P2PRecord } from "@omni/p2p-core";
import { createTransferWorker, DistributedTransfer } from "@omni/p2p-engine-bullmq";
import type { Places } from "@omni/p2p-matrix/stores";
import { memoryStarter } from "@omni/p2p-starter-memory";
import { newManager } from "./data.ts";
import { check, type Report } from "./report.ts";

const RECORDS = 2000;
/** Most deaths of processes that one record or one query may cost. */
const FEW = 4;
const ENDLESS = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT id FROM n WHERE id < 0";

/** What kills the processes of engine workers: a record, and a query that never ends. */
export async function poisonWorkers(
  report: Report,
  places: Places,
  redis: string,
  random: () => number,
): Promise<void> {
  for (const poison of ["kill", "block"]) {
    await report.run(`engine: poison record (${poison})`, () => poisonRecord(places, redis, poison, random));
  }
  await report.run("engine: endless query", () => endlessQuery(places, redis));
}

/** The record is set aside, the rest arrives, and it costs few processes. */
async function poisonRecord(places: Places, redis: string, poison: string, random: () => number): Promise<string> {
  const bad = Math.floor(random() * RECORDS);
  const [source, target] = [places.fresh("sqlite"), places.fresh("redis")];
  await fill(source, (at) => (at === bad ? { poison } : {}));
  await using fleet = new EngineFleet(redis, { source, target });
  const { client, deaths } = fleet;
  const id = `poison-${poison}`;
  const config = { batchSize: 100 };
  await client.submit({ id, source: "source", target: "target", transform: "poisoned", partitions: 4, config });
  const { successCount, failureCount } = await client.result(id, { signal: AbortSignal.timeout(300_000) });
  check(
    successCount === RECORDS - 1 && failureCount === 1,
    `${successCount} of ${RECORDS - 1} arrived, ${failureCount} failed`,
  );
  const letters: string[] = [];
  for await (const letter of client.deadLetters(id)) letters.push(JSON.stringify(letter));
  check(letters.length === 1 && letters[0]!.includes("POISON_RECORD"), `dead letters: ${letters.join()}`);
  check((JSON.parse(letters[0]!) as { id: string }).id === String(bad), `not record ${bad}: ${letters[0]}`);
  check(deaths.length <= FEW, `${deaths.length} processes died: ${deaths.join("; ")}`);
  return `record ${bad} of ${RECORDS} set aside after ${deaths.length} deaths, both workers alive`;
}

/** The transfer fails with a reason, and the workers do the next one. */
async function endlessQuery(places: Places, redis: string): Promise<string> {
  const [source, target] = [places.fresh("sqlite"), places.fresh("redis")];
  await fill(source, () => ({}));
  await using fleet = new EngineFleet(redis, { source, target });
  const { client, deaths } = fleet;
  const query = { native: { sqlite: { sql: ENDLESS } } } as object;
  await client.submit({ id: "endless", source: "source", target: "target", query });
  const signal = AbortSignal.timeout(300_000);
  const error = await client.result("endless", { signal }).then(
    () => undefined,
    (thrown: { readonly code?: string }) => thrown,
  );
  check(error?.code === "PROCESS_DIED", `it ended with ${error?.code ?? "success"}`);
  const died = deaths.length;
  check(died <= FEW * 2, `${died} processes died`);
  await client.submit({ id: "next", source: "source", target: "target" });
  const { successCount, verified } = await client.result("next", { signal });
  check(successCount === RECORDS && verified?.equal === true, `the next one moved ${successCount} of ${RECORDS}`);
  return `failed as PROCESS_DIED after ${died} deaths, and the next transfer was whole`;
}

/** Two workers, which share what is to be done. */
class EngineFleet implements AsyncDisposable {
  readonly client: DistributedTransfer;
  readonly deaths: string[] = [];
  readonly #workers: readonly ReturnType<typeof createTransferWorker>[];

  constructor(connection: string, endpoints: Readonly<Record<string, string>>) {
    const prefix = `{chaos-${process.pid}-${Math.random().toString(36).slice(2)}}`;
    this.client = new DistributedTransfer({ connection, prefix });
    this.#workers = ["a", "b"].map((name) => {
      const worker = createTransferWorker({
        ...{
          connection,
          prefix,
          name,
          endpoints,
          appRoot: import.meta.dirname,
          heartbeatTimeout: 3000,
          progressTimeout: 5000,
        },
        module: new URL("./engine-parts.ts", import.meta.url),
      });
      worker.events.on("died", ({ how }) => this.deaths.push(how));
      return worker;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.client.close(), ...this.#workers.map((worker) => worker.close())]);
  }
}

async function fill(url: string, more: (at: number) => object): Promise<void> {
  const database = `engine-${Math.random().toString(36).slice(2)}`;
  const { signal } = new AbortController();
  const endpoint = { endpointId: database, storageType: "memory", database };
  const store = await memoryStarter.open(endpoint, { role: "target", signal, connectTimeoutMs: 1000 });
  const records = Array.from({ length: RECORDS }, (_, at): P2PRecord => ({ id: at, text: `text ${at}`, ...more(at) }));
  await store.writeToTarget(records, { mode: "upsert", signal });
  await using manager = newManager();
  const { connectionId } = await manager.establish(endpoint, url);
  await manager.transferThroughConnection(connectionId, {}, { deadLetters: false });
  await store.close();
}
