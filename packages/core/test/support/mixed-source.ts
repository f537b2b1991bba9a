// A transfer of records of one byte and of many megabytes in a process of its own, which tells its peak of memory in MiB:
// node mixed-source.ts <records> <bytes of a large one> <batch size>

import { setImmediate } from "node:timers/promises";
import type { ConnectionConfig } from "../../src/config.ts";
import { DefaultP2PTransferBridge, type P2PQuery, type P2PRecord } from "../../src/index.ts";
import { estimateBytes } from "../../src/model/size.ts";
import type { ReadOptions, RecordBatch, WriteResult } from "../../src/starter.ts";
import { ScriptedStore } from "./scripted-store.ts";

/** What is on the way: made by the source, and not yet taken by the target. */
export class OnTheWay {
  bytes = 0;
  most = 0;

  enter(bytes: number): void {
    this.bytes += bytes;
    this.most = Math.max(this.most, this.bytes);
  }
}

/** A source that makes its records only when they are asked for, and keeps to `batchBytes`. */
export class MixedSource extends ScriptedStore {
  readonly #sizes: readonly number[];
  readonly #onTheWay: OnTheWay;

  constructor(sizes: readonly number[], onTheWay: OnTheWay) {
    super();
    this.#sizes = sizes;
    this.#onTheWay = onTheWay;
  }

  override async *readFromSource(_: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    const { batchSize, batchBytes = Number.POSITIVE_INFINITY } = options;
    let records: P2PRecord[] = [];
    let bytes = 0;
    for (const [at, size] of this.#sizes.entries()) {
      const record: P2PRecord = { id: `r${at}`, body: Buffer.alloc(size, at) };
      const weight = estimateBytes(record);
      if (records.length > 0 && (records.length >= batchSize || bytes + weight > batchBytes)) {
        this.#onTheWay.enter(bytes);
        yield { records, cursor: at, bytes };
        await setImmediate();
        records = [];
        bytes = 0;
      }
      records.push(record);
      bytes += weight;
    }
    this.#onTheWay.enter(bytes);
    yield { records, cursor: this.#sizes.length, bytes };
  }
}

/** A target that lets so many turns of the event loop pass before it has written, and keeps the sizes alone. */
export class SlowTarget extends ScriptedStore {
  readonly sizes = new Map<string, number>();
  readonly #onTheWay: OnTheWay;
  readonly #turns: number;

  constructor(onTheWay: OnTheWay, turns: number) {
    super();
    this.#onTheWay = onTheWay;
    this.#turns = turns;
  }

  override async writeToTarget(records: readonly P2PRecord[]): Promise<WriteResult> {
    for (let turn = 0; turn < this.#turns; turn++) await setImmediate();
    for (const record of records) {
      this.#onTheWay.bytes -= estimateBytes(record);
      this.sizes.set(String(record.id), (record.body as Uint8Array).length);
    }
    return { written: records.length, skipped: 0, failures: [] };
  }
}

/** Moves records of these sizes to a target that is ten times as slow as the source. */
export async function moveMixed(sizes: readonly number[], options: Partial<ConnectionConfig>, turns = 10) {
  const onTheWay = new OnTheWay();
  const target = new SlowTarget(onTheWay, turns);
  await new DefaultP2PTransferBridge().transfer(
    { service: new MixedSource(sizes, onTheWay), endpoint: { endpointId: "from", storageType: "mixed" } },
    { service: target, endpoint: { endpointId: "to", storageType: "slow" } },
    {},
    { deadLetters: false, ...options },
  );
  return { most: onTheWay.most, arrived: [...target.sizes.values()] };
}

if (import.meta.filename === process.argv[1]) {
  const [count, large, batchSize] = process.argv.slice(2);
  const sizes = Array.from({ length: Number(count) }, (_, at) => (at % 10 === 3 ? Number(large) : 1));
  await moveMixed(sizes, { batchSize: batchSize === "auto" ? batchSize : Number(batchSize) });
  console.log(process.resourceUsage().maxRSS / 1024);
}
