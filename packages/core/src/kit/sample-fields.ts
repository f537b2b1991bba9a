import type { P2PRecord } from "../model/record.ts";
import { getField, type P2PValue, type ValueType, valueType } from "../model/value-tree.ts";

/** What the values of one field of a sample are. */
export interface FieldSample {
  readonly field: string;
  /** The types of its values, each once. */
  readonly types: readonly ValueType[];
  /** Its values, in the order of the records; those that have no such field are passed over. */
  readonly values: readonly P2PValue[];
}

/** The fields of some records with what they hold, in the order in which they appear: what `describeMapping` is about. */
export function sampleFields(sample: readonly P2PRecord[]): FieldSample[] {
  const fields = new Map<string, { types: Set<ValueType>; values: P2PValue[] }>();
  for (const record of sample) {
    for (const field of Object.keys(record)) {
      const value = getField(record, field);
      if (value === undefined) continue;
      const found = fields.get(field) ?? { types: new Set(), values: [] };
      fields.set(field, found);
      found.types.add(valueType(value));
      found.values.push(value);
    }
  }
  return Array.from(fields, ([field, { types, values }]) => ({ field, types: [...types], values }));
}
