import { type P2PRecord, type P2PValue, VALUE_TYPES, type ValueType } from "@omni/p2p-core/starter";
import { SAMPLE_VALUES } from "./samples.ts";

/**
 * Records that together, and nearly each by itself, use every value type; the same for the same count each time.
 * Small enough (about 600 bytes) to move by the thousand.
 *
 * @example
 * ```ts
 * const records = sampleRecords(2000);
 * ```
 */
export function sampleRecords(count: number): P2PRecord[] {
  const values = new Map(VALUE_TYPES.map((type) => [type, SAMPLE_VALUES[type].filter(small)]));
  return Array.from({ length: count }, (_, i) => sampleRecord(i, values));
}

/**
 * One record for each of {@link SAMPLE_VALUES}, in a field that is called after its kind: every value at its edges, the
 * large ones too.
 *
 * @example
 * ```ts
 * everyValueType()[0]; // { id: "null-0", null: null }
 * ```
 */
export function everyValueType(): P2PRecord[] {
  return VALUE_TYPES.flatMap((type) => SAMPLE_VALUES[type].map((value, i) => ({ id: `${type}-${i}`, [type]: value })));
}

/** Strings and other values that would make every record large come in {@link SAMPLE_VALUES} alone. */
function small(value: P2PValue): boolean {
  if (value instanceof Uint8Array) return value.length <= 256;
  if (Array.isArray(value)) return value.length < 100;
  if (typeof value === "object" && value !== null) return Object.keys(value).length < 50;
  return typeof value !== "string" || value.length <= 1000;
}

function sampleRecord(i: number, values: ReadonlyMap<ValueType, readonly P2PValue[]>): P2PRecord {
  const pick = (type: ValueType): P2PValue => values.get(type)![i % values.get(type)!.length]!;
  return {
    id: `record-${String(i).padStart(7, "0")}`,
    type: i % 3 === 0 ? "note" : "article",
    title: `Sample ${i}: ${["plain", "naïve", "样本", "πρότυπο", "😀"][i % 5]}`,
    body: "The quick brown fox jumps over the lazy dog. ".repeat((i % 4) + 1),
    position: i,
    nothing: null,
    ...(i % 2 === 0 ? { sometimes: i } : {}),
    flag: i % 2 === 1,
    number: pick("number"),
    bigint: pick("bigint"),
    string: pick("string"),
    date: pick("date"),
    bytes: pick("bytes"),
    array: pick("array"),
    object: pick("object"),
    tagged: pick("tagged"),
  };
}
