import { type FieldMapping, type P2PRecord, type ValueType, valueType } from "@omni/p2p-core";
import type { RedisSettings } from "./endpoint.ts";
import { redisMapping } from "./types.ts";

/** What the fields of some records become. */
export function describeSample(sample: readonly P2PRecord[], settings: RedisSettings): FieldMapping[] {
  const fields = new Map<string, Set<ValueType>>();
  for (const record of sample) {
    for (const [field, value] of Object.entries(record)) {
      if (value === undefined) continue;
      if (!fields.has(field)) fields.set(field, new Set());
      fields.get(field)!.add(valueType(value));
    }
  }
  return Array.from(fields, ([field, types]) => ({
    field,
    types: [...types],
    ...describeField(field, types, settings),
  }));
}

function describeField(
  field: string,
  types: ReadonlySet<ValueType>,
  { format, ttlField }: RedisSettings,
): Pick<FieldMapping, "storedAs" | "lossless" | "note"> {
  if (field === ttlField) {
    const lossless = [...types].every((type) => type === "date");
    const note = "Only dates come back; null is no time to live, and seconds come back as the date that they lead to";
    return { storedAs: "the time at which the key expires", lossless, ...(!lossless && { note }) };
  }
  if (format === "dump") {
    if (field === "id" || field === "dump") {
      return { storedAs: field === "id" ? "the name of the key" : "the key itself", lossless: true };
    }
    const note = "A dump has no room for fields: write with format=json or format=hash";
    return { storedAs: "nothing", lossless: false, note };
  }
  const kinds = [...types].map((type) => redisMapping[type][format].replaceAll("`", ""));
  const inside = [...new Set(kinds)].join("; ");
  return { storedAs: field === "id" ? `the name of the key, and ${inside}` : inside, lossless: true };
}
