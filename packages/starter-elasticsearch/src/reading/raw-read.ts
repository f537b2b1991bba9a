import type { P2PQuery, P2PValue, RawBatch, ReadOptions } from "@omni/p2p-core/starter";
import { type OpenedQuery, openQuery, type SourceIndex } from "../query/source-index.ts";
import { foreignOrigin, type RawDocument, rawPage } from "../values/raw-document.ts";
import type { Batch } from "./batching.ts";
import { type ReadForm, readOpened, readUnordered } from "./records.ts";

const RAW_FORM: ReadForm<RawDocument> = {
  decode: rawPage,
  wanted: undefined,
  finish: (document) => document,
  // A source is JSON, which is a value too.
  value: (document) => ("record" in document ? document.record : (document.source as P2PValue)),
};

/** The documents that a query asks for, in batches. */
export async function* readRaw(source: SourceIndex, query: P2PQuery, options: ReadOptions): AsyncGenerator<RawBatch> {
  options.signal.throwIfAborted();
  const opened = await openQuery(source, query, options.signal);
  for await (const { items: documents, cursor, bytes, failures } of documentsOf(opened, options)) {
    yield { documents, cursor, bytes, ...(failures && { failures }) };
    options.signal.throwIfAborted();
  }
}

async function* documentsOf(opened: OpenedQuery, options: ReadOptions): AsyncGenerator<Batch<RawDocument>> {
  const { orderBy, conditions, fields } = opened.plan.query;
  if (orderBy.length === 0 && conditions.length === 0 && fields === undefined) {
    yield* readUnordered(opened, options, RAW_FORM);
    return;
  }
  const origin = foreignOrigin(opened.schemas);
  // What has to be looked at or taken apart is a record anyway.
  for await (const { items, ...batch } of readOpened(opened, options)) {
    yield { ...batch, items: items.map((record) => ({ record, ...origin })) };
  }
}
