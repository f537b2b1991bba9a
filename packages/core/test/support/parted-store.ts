import type { P2PQuery } from "../../src/index.ts";
import type { ReadOptions, RecordBatch } from "../../src/starter.ts";
import { records, type Script, ScriptedStore } from "./scripted-store.ts";

/** A scripted store that can be parted, by the numbers of its records. */
export class PartedStore extends ScriptedStore {
  plans = 0;
  readonly #size: number;

  constructor(size: number, script: Script = {}) {
    super(records(size), { ...script, capabilities: { partitionable: true, ...script.capabilities } });
    this.#size = size;
  }

  override async partitions(query: P2PQuery, parts = 2): Promise<readonly P2PQuery[]> {
    this.plans++;
    const bound = (part: number) => Math.floor((this.#size * part) / parts);
    return Array.from({ length: parts }, (_, part) => ({
      ...query,
      partition: { from: bound(part), below: bound(part + 1) },
    }));
  }

  override async *readFromSource(query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    const { partition, ...rest } = query;
    const { from, below } = (partition ?? { from: 0, below: this.#size }) as { from: number; below: number };
    yield* super.readFromSource({ ...rest, where: { ...rest.where, at: { gte: from, lt: below } } }, options);
  }
}
