/** Normalises records for comparison where a format has columns: each record has all of them, so that what was absent is null. */
import { type P2PRecord, type P2PValue, setField } from "@omni/p2p-core/starter";

/** A record without its nulls. @param change what becomes of a value. */
export function withoutNulls(record: P2PRecord, change: (value: P2PValue) => P2PValue = (value) => value): P2PRecord {
  const fields: Record<string, P2PValue> = {};
  for (const field of Object.keys(record)) {
    const value = record[field];
    if (value !== null && value !== undefined) setField(fields, field, change(value));
  }
  return fields as unknown as P2PRecord;
}
