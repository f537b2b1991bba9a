import type { P2PRecord, P2PValue } from "@omni/p2p-core";
import { encodeJson, type ValueType, valueType } from "@omni/p2p-core/starter";

/** What a sample of records tells of a field. */
export interface SampledField {
  readonly field: string;
  /** The kinds of value found, the most frequent first. */
  readonly types: readonly ValueType[];
  /** Share of the records that have it and where it is not null, from 0 to 1. */
  readonly filled: number;
  /** A value, as text, cut short. */
  readonly example: string;
}

const EXAMPLE_LENGTH = 40;

/** The fields of some records, in the order in which they first occur. */
export function sampledFields(records: readonly P2PRecord[]): SampledField[] {
  const fields = new Map<string, { types: Map<ValueType, number>; count: number; example: string }>();
  for (const record of records) {
    for (const [field, value] of Object.entries(record)) {
      if (value === undefined) continue;
      const known = fields.get(field) ?? { types: new Map<ValueType, number>(), count: 0, example: "" };
      const type = valueType(value);
      known.types.set(type, (known.types.get(type) ?? 0) + 1);
      if (value !== null) known.count++;
      if (known.example === "" && value !== null) known.example = shortText(value);
      fields.set(field, known);
    }
  }
  return [...fields].map(([field, { types, count, example }]) => ({
    field,
    types: [...types].sort(([, a], [, b]) => b - a).map(([type]) => type),
    filled: count / records.length,
    example,
  }));
}

/** A value as people read it, cut short. */
function shortText(value: P2PValue): string {
  const text = plainText(value);
  return text.length > EXAMPLE_LENGTH ? `${text.slice(0, EXAMPLE_LENGTH - 1)}…` : text;
}

function plainText(value: P2PValue): string {
  if (typeof value === "string") return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  return typeof value === "bigint" ? String(value) : encodeJson(value);
}
