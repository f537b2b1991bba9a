import { idKey, type P2PDataTransferService, P2PError, type P2PRecord, type RecordBatch } from "@omni/p2p-core/starter";
import { type BrokenAdapter, broken, brokenOpen, type Replaced, rebatched, requeried } from "./sabotage.ts";

/** Faults of reading, by what is wrong. */
export const brokenReaders: Readonly<Record<string, BrokenAdapter>> = {
  "drops a record between pages": broken(
    rebatched((batch, number) => (number > 0 ? { ...batch, records: batch.records.slice(1) } : batch)),
    "every record comes once",
    "law 4, resume: every cursor",
  ),
  "repeats a record between pages": broken((service) => {
    let last: P2PRecord | undefined;
    return rebatched((batch, number) => {
      const records = number > 0 && last ? [last, ...batch.records.slice(0, -1)] : batch.records;
      last = batch.records.at(-1);
      return { ...batch, records };
    })(service);
  }, "every record comes once"),
  "gives the whole source in one batch": broken(
    (service) => ({
      readFromSource: (query, options) =>
        service.readFromSource(query, { ...options, batchSize: 1_000_000, batchBytes: Number.MAX_SAFE_INTEGER }),
    }),
    "every record comes once",
    "law 5, bounded memory",
  ),
  "does not heed batchBytes": broken(
    (service) => ({
      readFromSource: (query, { batchBytes: _, ...options }) => service.readFromSource(query, options),
    }),
    "law 5, bounded memory",
  ),
  "has cursors that grow": broken(growingCursors, "law 6, linear cost"),
  "has a cursor that points at the last record but one": broken((service) => {
    let previous: RecordBatch["cursor"] | undefined;
    return rebatched((batch) => {
      const cursor = previous ?? batch.cursor;
      previous = batch.cursor;
      return { ...batch, cursor };
    })(service);
  }, "law 4, resume: every cursor"),
  "has a cursor that does not survive JSON": broken(
    (service) => ({
      async *readFromSource(query, { after, ...options }) {
        const position = (after as { at?: () => string } | undefined)?.at?.();
        const rest = position === undefined ? options : { ...options, after: position };
        for await (const batch of service.readFromSource(query, rest)) {
          yield { ...batch, cursor: { at: () => batch.cursor } as never };
        }
      },
    }),
    "law 4, resume: every cursor",
  ),
  "forgets its cursors when it is closed": broken((service) => {
    const known = new Map<string, RecordBatch["cursor"]>();
    return {
      async *readFromSource(query, { after, ...options }) {
        const position = after === undefined ? undefined : known.get(String(after));
        for await (const batch of service.readFromSource(query, { ...options, after: position })) {
          const token = `cursor-${known.size}`;
          known.set(token, batch.cursor);
          yield { ...batch, cursor: token };
        }
      },
    };
  }, "law 4, resume: every cursor"),
  "applies the offset again when it resumes": broken(
    (service) => ({
      async *readFromSource(query, options) {
        let passOver = options.after === undefined ? 0 : (query.offset ?? 0);
        for await (const batch of service.readFromSource(query, options)) {
          const records = batch.records.slice(passOver);
          passOver -= batch.records.length - records.length;
          if (records.length > 0) yield { ...batch, records };
        }
      },
    }),
    'law 4, resume: every cursor gives exactly the rest of {"offset":4}',
  ),
  "has an order that changes": broken((service) => {
    let reads = 0;
    return {
      async *readFromSource(query, options) {
        const all: P2PRecord[] = [];
        const { batchSize } = options;
        for await (const batch of service.readFromSource(query, { ...options, batchSize: 10_000 })) {
          all.push(...batch.records);
        }
        if (reads++ % 2 === 1 && !query.orderBy) all.reverse();
        for (let i = 0; i < all.length; i += batchSize) {
          const records = all.slice(i, i + batchSize);
          yield { records, cursor: idKey(records.at(-1)!.id) };
        }
      },
    };
  }, "the order is stable"),
  "keeps hold of the records it gave": broken((service) => {
    const kept = new Map<string, P2PRecord>();
    return rebatched((batch, _, query) => {
      if (query.fields) return batch;
      const records = batch.records.map((record) => {
        const key = idKey(record.id);
        if (!kept.has(key)) kept.set(key, record);
        return kept.get(key)!;
      });
      return { ...batch, records };
    })(service);
  }, "records belong to the reader"),
  "has the limit before where": broken(
    (service) => ({
      async *readFromSource(query, options) {
        const { limit, where, type, ...rest } = query;
        const seen = new Set<string>();
        for await (const batch of service.readFromSource(limit === undefined ? {} : { ...rest, limit }, {
          ...options,
          after: undefined,
        })) {
          for (const { id } of batch.records) seen.add(idKey(id));
        }
        for await (const batch of service.readFromSource(query, options)) {
          yield { ...batch, records: batch.records.filter(({ id }) => limit === undefined || seen.has(idKey(id))) };
        }
      },
    }),
    "offset and limit count after where",
  ),
  "counts without the limit": broken(
    (service) => ({
      count: ({ limit: _, offset: __, ...query }, signal) => service.count(query, signal),
    }),
    "count is the number of records",
  ),
  "gives all fields whatever is asked": broken(
    requeried(({ fields: _, ...query }) => query),
    "fields picks fields",
  ),
  "has partitions that overlap": broken(
    (service) => ({
      async partitions(query, parts, signal) {
        const queries = await service.partitions(query, parts, signal);
        return queries.length > 1 ? [{ ...query }, ...queries.slice(1)] : queries;
      },
    }),
    "law 7, partition: parts are disjoint",
    "law 7, partition: the whole store",
  ),
  "has partitions with a gap": broken(
    (service) => ({
      async partitions(query, parts, signal) {
        const queries = await service.partitions(query, parts, signal);
        return queries.length > 1 ? queries.slice(1) : queries;
      },
    }),
    "law 7, partition: parts are disjoint",
    "parts can be read at the same time",
  ),
  "reads a missing source as empty": brokenOpen(
    (open) => async (endpoint, context) => {
      try {
        return await open(endpoint, context);
      } catch (error) {
        if (!(error instanceof P2PError) || error.code !== "SOURCE_NOT_FOUND") throw error;
        return open(endpoint, { ...context, role: "target" });
      }
    },
    "a missing source is an error",
  ),
};

function growingCursors(service: P2PDataTransferService): Replaced {
  return {
    async *readFromSource(query, options) {
      const seen = [...((options.after as string[] | undefined) ?? [])];
      for await (const batch of service.readFromSource(query, { ...options, after: seen.at(-1) })) {
        seen.push(...batch.records.map(({ id }) => idKey(id)));
        yield { ...batch, cursor: [...seen] };
      }
    },
  };
}
