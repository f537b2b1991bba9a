/** A spill file: a list of any length on disk, gone through in batches, so that memory stays bounded. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { jsonLine } from "../model/json-line.ts";
import type { JsonValue } from "../model/json-value.ts";
import { type Purpose, scratchFolder } from "../transfer/durable/scratch-folder.ts";

/** Keeps items, each a JSON list, in a file of the temporary folder. */
export class SpillFile<Item extends readonly JsonValue[]> {
  readonly #folder: string;
  readonly #file: FileHandle;
  #length = 0;

  private constructor(folder: string, file: FileHandle) {
    this.#folder = folder;
    this.#file = file;
  }

  static async open<Item extends readonly JsonValue[]>(purpose: Purpose): Promise<SpillFile<Item>> {
    const folder = await scratchFolder(purpose);
    // Appending, so that what comes after a truncation stands at the beginning.
    return new SpillFile<Item>(folder, await open(join(folder, "items"), "a+", 0o600));
  }

  /** How many items there are. */
  get length(): number {
    return this.#length;
  }

  async clear(): Promise<void> {
    this.#length = 0;
    await this.#file.truncate(0);
  }

  async add(items: readonly Item[]): Promise<void> {
    if (items.length === 0) return;
    this.#length += items.length;
    await this.#file.appendFile(items.map((item) => jsonLine([...item])).join(""));
  }

  /** Those that are wanted, so many at a time. */
  async *batches(size: number, isWanted: (item: Item) => boolean = () => true): AsyncGenerator<Item[]> {
    let batch: Item[] = [];
    const lines = this.#file.readLines({ start: 0, autoClose: false, encoding: "utf8" });
    for await (const line of lines) {
      const item = JSON.parse(line) as Item;
      if (!isWanted(item)) continue;
      batch.push(item);
      if (batch.length < size) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  async close(): Promise<void> {
    await this.#file.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
