import type { P2PRecord } from "../../src/index.ts";
import type { RawBatch, RawSource, RawTarget } from "../../src/starter.ts";
import { ScriptedStore } from "./scripted-store.ts";

/** A record in the form of its store, which the core cannot take apart. */
export class RawDocument {
  readonly text: string;

  constructor(record: P2PRecord) {
    this.text = JSON.stringify(record);
  }

  get record(): P2PRecord {
    return JSON.parse(this.text) as P2PRecord;
  }
}

/** A scripted store with a raw lane, and counts of what came by it. */
export class RawStore extends ScriptedStore {
  rawReads = 0;
  rawWrites = 0;
  decoded = 0;
  readonly rawSource: RawSource;
  readonly rawTarget: RawTarget;

  /** @param format of its documents; it takes the same. */
  constructor(
    records?: readonly P2PRecord[],
    script?: ConstructorParameters<typeof ScriptedStore>[1],
    format = "scripted:text",
  ) {
    super(records, script);
    this.rawSource = {
      format,
      read: (query, options) => this.#read(query, options),
      decode: (document) => {
        this.decoded++;
        return (document as RawDocument).record;
      },
    };
    this.rawTarget = {
      accepts: (other) => other === format,
      write: (documents, options) => {
        this.rawWrites++;
        return this.writeToTarget(
          documents.map((document) => (document as RawDocument).record),
          options,
        );
      },
    };
  }

  async *#read(
    query: Parameters<RawSource["read"]>[0],
    options: Parameters<RawSource["read"]>[1],
  ): AsyncGenerator<RawBatch> {
    this.rawReads++;
    for await (const { records, bytes, ...rest } of this.readFromSource(query, options)) {
      const documents = records.map((record) => new RawDocument(record));
      yield { ...rest, documents, bytes: bytes ?? documents.reduce((sum, { text }) => sum + text.length, 0) };
    }
  }
}
