import { idKey, type P2PDataTransferService, type P2PRecord } from "@omni/p2p-core/starter";
import { type BrokenAdapter, broken, lossy, type Replaced } from "./sabotage.ts";

/** Faults of writing, by what is wrong. */
export const brokenWriters: Readonly<Record<string, BrokenAdapter>> = {
  "loses -0": broken(
    lossy((value) => (Object.is(value, -0) ? 0 : value)),
    "law 2, round trip: number",
    "law 2, round trip: array",
  ),
  "makes numbers of bigints": broken(
    lossy((value) => (typeof value === "bigint" ? Number(value) : value)),
    "law 2, round trip: bigint",
    "law 2, round trip: ids that are bigints",
    "law 2, round trip: generated records, within",
  ),
  "wraps bigints at 64 bits": broken(
    lossy((value) => (typeof value === "bigint" ? BigInt.asIntN(64, value) : value)),
    "law 2, round trip: bigint",
  ),
  "makes texts of dates": broken(
    lossy((value) => (value instanceof Date ? value.toISOString() : value)),
    "law 2, round trip: date",
    "law 2, round trip: the sample records",
  ),
  "cuts dates to seconds": broken(
    lossy((value) => (value instanceof Date ? new Date(Math.trunc(value.getTime() / 1000) * 1000) : value)),
    "law 2, round trip: date",
  ),
  "cuts texts at NUL": broken(
    lossy((value) => (typeof value === "string" ? value.split("\u0000")[0] || value : value)),
    "law 2, round trip: string",
  ),
  "drops null fields": broken(
    lossy((value) => (value === null ? undefined : value)),
    "law 2, round trip: null and absent",
    "law 2, round trip: null",
  ),
  "drops __proto__": broken(
    lossy((value) => {
      if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
      if (!Object.hasOwn(value, "__proto__")) return value;
      return Object.fromEntries(Object.entries(value).filter(([field]) => field !== "__proto__"));
    }),
    "law 2, round trip: object",
    "law 2, round trip: any text as a field name",
  ),
  "makes texts of ids": broken(
    (service) => ({
      writeToTarget: (records, options) =>
        service.writeToTarget(
          records.map((record) => ({ ...record, id: idKey(record.id) })),
          options,
        ),
    }),
    "law 2, round trip: ids that are whole numbers",
    "law 2, round trip: ids that are dates",
  ),
  "merges in place of replacing": broken(merging, "upsert replaces the whole record"),
  "mis-indexes failures": broken(
    (service) => ({
      async writeToTarget(records, options) {
        const result = await service.writeToTarget(records, options);
        return { ...result, failures: result.failures.map((failure, index) => ({ ...failure, index })) };
      },
    }),
    "insert fails records whose id is there",
    "law 1, conservation",
  ),
  "counts what it skipped as written": broken(
    (service) => ({
      async writeToTarget(records, options) {
        const result = await service.writeToTarget(records, options);
        return { ...result, written: result.written + result.skipped, skipped: 0 };
      },
    }),
    "skip leaves records",
    "law 1, conservation",
  ),
  "says nothing of failures": broken(
    (service) => ({
      async writeToTarget(records, options) {
        const result = await service.writeToTarget(records, options);
        return { written: records.length - result.skipped, skipped: result.skipped, failures: [] };
      },
    }),
    "insert fails records whose id is there",
  ),
  "treats insert as upsert": broken(
    (service) => ({
      writeToTarget: (records, options) =>
        service.writeToTarget(records, { ...options, mode: options.mode === "insert" ? "upsert" : options.mode }),
    }),
    "insert fails records whose id is there",
    "an id that comes twice",
  ),
  "loses all but the first 1,000 of a batch": broken(
    (service) => ({
      async writeToTarget(records, options) {
        await service.writeToTarget(records.slice(0, 1000), options);
        return { written: records.length, skipped: 0, failures: [] };
      },
    }),
    "batches of 1 and of 3,000",
  ),
  "loses one of two parallel writes": broken((service) => {
    let busy = 0;
    return {
      async writeToTarget(records, options) {
        busy++;
        try {
          await new Promise((resolve) => setTimeout(resolve, 2));
          if (busy > 1) return { written: records.length, skipped: 0, failures: [] };
          return await service.writeToTarget(records, options);
        } finally {
          busy--;
        }
      },
    };
  }, "writes run in parallel"),
  "changes the records it is given": broken(
    (service) => ({
      writeToTarget(records, options) {
        for (const record of records) if (!Object.isFrozen(record)) Object.assign(record, { _id: record.id });
        return service.writeToTarget(records, options);
      },
    }),
    "records are never changed",
  ),
  "appends in place of replacing": broken(
    (service) => ({
      writeToTarget: (records, options) =>
        options.mode === "upsert"
          ? service.writeToTarget(
              records.map((record) => ({ ...record, seen: Math.random() })),
              options,
            )
          : service.writeToTarget(records, options),
    }),
    "law 3, idempotence",
  ),
};

function merging(service: P2PDataTransferService): Replaced {
  return {
    async writeToTarget(records, options) {
      if (options.mode !== "upsert") return service.writeToTarget(records, options);
      const old = new Map<string, P2PRecord>();
      for await (const { records: found } of service.readFromSource({}, { batchSize: 1000, signal: options.signal })) {
        for (const record of found) old.set(idKey(record.id), record);
      }
      return service.writeToTarget(
        records.map((record) => ({ ...old.get(idKey(record.id)), ...record })),
        options,
      );
    },
  };
}
