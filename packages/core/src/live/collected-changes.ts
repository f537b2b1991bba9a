/** A log of ids: what a feed told while everything was copied or mirrored, kept durably beside the checkpoint. */
import { type FileHandle, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { P2PError } from "../errors.ts";
import { fromJson, toJson } from "../model/json.ts";
import { jsonLine } from "../model/json-line.ts";
import type { JsonValue } from "../model/json-value.ts";
import { parseJson } from "../model/parse-json.ts";
import { idKey, type P2PId } from "../model/record.ts";
import type { IdRef } from "../storage/id-ref.ts";
import { fileNameOf } from "../transfer/checkpoint/file-checkpoint.ts";

/** Each id once, appended as it comes. */
export class CollectedChanges {
  readonly #path: string;
  readonly #seen = new Set<string>();
  #file: FileHandle | undefined;

  constructor(folder: string, transferId: string) {
    this.#path = join(folder, `${fileNameOf(transferId)}.collected.ndjson`);
  }

  /** What an earlier run has collected. A line that was cut off was never counted as safe. */
  async load(): Promise<readonly IdRef[]> {
    const refs: IdRef[] = [];
    const file = await this.#open();
    let whole = 0;
    let text = "";
    try {
      for await (const chunk of file.createReadStream({ start: 0, autoClose: false, encoding: "utf8" })) {
        text += chunk;
        const end = text.lastIndexOf("\n") + 1;
        for (const line of text.slice(0, end).split("\n")) if (line !== "") refs.push(this.#parse(line));
        whole += Buffer.byteLength(text.slice(0, end));
        text = text.slice(end);
      }
      await file.truncate(whole);
    } catch (cause) {
      if (cause instanceof P2PError) throw cause;
      throw this.#error("read", cause);
    }
    return refs;
  }

  async add(refs: readonly IdRef[]): Promise<void> {
    const fresh = refs.filter(({ id }) => !this.#seen.has(idKey(id)));
    if (fresh.length === 0) return;
    const lines = fresh.map(({ id, locator }) => jsonLine([toJson(id), ...(locator === undefined ? [] : [locator])]));
    try {
      await (await this.#open()).appendFile(lines.join(""));
    } catch (cause) {
      throw this.#error("written", cause);
    }
    for (const { id } of fresh) this.#seen.add(idKey(id));
  }

  /** Makes it survive a loss of power. */
  async flush(): Promise<void> {
    await this.#file?.sync();
  }

  get holdsSome(): boolean {
    return this.#seen.size > 0;
  }

  /** All of it is settled. */
  async clear(): Promise<void> {
    if (this.#seen.size === 0) return;
    this.#seen.clear();
    await (await this.#open()).truncate(0);
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
    if (this.#seen.size === 0) await rm(this.#path, { force: true });
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#path, "a+", 0o600);
    return this.#file;
  }

  #parse(line: string): IdRef {
    const [id, locator] = parseJson(line) as readonly JsonValue[];
    const ref = { id: fromJson(id!) as P2PId, ...(locator !== undefined && { locator }) };
    this.#seen.add(idKey(ref.id));
    return ref;
  }

  #error(verb: string, cause: unknown): P2PError {
    return new P2PError(
      "CHECKPOINT_INVALID",
      `The changes collected in ${this.#path} could not be ${verb}: ${(cause as Error).message}. Follow anew with resume: false`,
      { cause },
    );
  }
}
