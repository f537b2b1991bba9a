import { idKey, type P2PRecord, type RecordBatch } from "@omni/p2p-core/starter";
import { type BrokenAdapter, broken, rebatched } from "./sabotage.ts";

/** Faults that a comparison of two places finds, and words that are not kept. */
export const brokenVouching: Readonly<Record<string, BrokenAdapter>> = {
  "vouches for ids that come twice": broken(
    rebatched((batch, number): RecordBatch => {
      if (number > 0 || batch.records.length === 0) return { ...batch, distinct: true };
      const [first] = batch.records as [P2PRecord];
      return { ...batch, distinct: true, records: [...batch.records.slice(0, -1), { ...first, id: idKey(first.id) }] };
    }),
    "what a batch vouches for is so",
  ),
  "vouches for records that have no id": broken(
    rebatched((batch) => ({
      ...batch,
      valid: true,
      records: batch.records.map((record) => (record.n === 3 ? ({ n: 3, id: "" } as P2PRecord) : record)),
    })),
    "what a batch vouches for is so",
  ),
  "compares every record as equal": broken(
    () => ({ comparable: ({ id }: P2PRecord) => ({ id }) }),
    "verify finds each kind of difference",
  ),
  "makes two forms of one record": broken(() => {
    return { comparable: (record: P2PRecord) => ({ ...record, form: Math.random() }) };
  }, "verify finds two places equal"),
};
