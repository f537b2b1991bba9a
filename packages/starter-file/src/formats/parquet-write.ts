/**
 * Serialises records as Parquet: a first pass over all of them finds the type of each column, a second one writes them by row
 * groups, so that no more than one of those is in memory.
 */
import { gzipSync, zstdCompressSync } from "node:zlib";
import { estimateBytes, getField, type P2PRecord, type P2PValue, valueType } from "@omni/p2p-core/starter";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";
import { jsonOfValue } from "../values/json-text.ts";
import type { Format, Sink, Spool } from "./format.ts";
import { type ColumnHint, HINTS_KEY } from "./parquet-schema.ts";

/** As the writer has them: its copy of the reader may be another than ours. */
type WriterOptions = ConstructorParameters<typeof ParquetWriter>[0];
type SchemaElement = WriterOptions["schema"][number];

/** Bytes of records in a row group, about. */
const GROUP_BYTES = 8_388_608;

/** What all values of a field have in common. */
interface FieldFacts {
  readonly kinds: Set<ReturnType<typeof valueType>>;
  /** Records that have the field. */
  present: number;
  areInt32: boolean;
  areSafeIntegers: boolean;
  /** The largest bigint without its sign. */
  largest: bigint;
}

/** How a field is written. */
interface ColumnPlan {
  readonly name: string;
  readonly element: SchemaElement;
  readonly hint: ColumnHint;
  readonly encode: (value: never) => unknown;
}

const CODECS: Readonly<Record<string, NonNullable<WriterOptions["codec"]>>> = {
  snappy: "SNAPPY",
  zstd: "ZSTD",
  gzip: "GZIP",
  none: "UNCOMPRESSED",
};

/** Writes the records of a spool. */
export const writeParquet: NonNullable<Format["convert"]> = async (spool, sink, { options, signal }) => {
  const plans = await plansOf(spool, signal);
  const writer = new ParquetWriter({
    writer: writerTo(sink),
    schema: [{ name: "root", num_children: plans.length }, ...plans.map(({ element }) => element)],
    codec: CODECS[options.codec]!,
    compressors: { ZSTD: (input) => zstdCompressSync(input), GZIP: (input) => gzipSync(input) },
    kvMetadata: [{ key: HINTS_KEY, value: JSON.stringify({ columns: plans.map(({ name, hint }) => [name, hint]) }) }],
    createdBy: "omni-p2p",
  });
  let group: P2PRecord[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    if (group.length === 0) return;
    await writer.write({ columnData: columnsOf(plans, group), rowGroupSize: group.length });
    group = [];
    bytes = 0;
  };
  for await (const records of spool.records()) {
    signal.throwIfAborted();
    for (const record of records) {
      group.push(record);
      bytes += estimateBytes(record);
      if (bytes >= GROUP_BYTES || group.length >= options.rowGroup) await flush();
    }
  }
  await flush();
  await writer.finish();
};

/** Hands on to a sink what is written, after each row group. */
function writerTo(sink: Sink): ByteWriter {
  const writer = new ByteWriter(1_048_576);
  const flush = async (): Promise<void> => {
    const bytes = new Uint8Array(writer.buffer.slice(0, writer.index));
    writer.index = 0;
    if (bytes.length > 0) await sink.write(bytes);
  };
  return Object.assign(writer, { flush, finish: flush });
}

function columnsOf(plans: readonly ColumnPlan[], group: readonly P2PRecord[]) {
  return plans.map(({ name, encode, hint, element }) => {
    const data = group.map((record) => {
      const value = getField(record, name);
      if (value === undefined) return null;
      return value === null ? null : encode(value as never);
    });
    // The footer would hold whole documents as the smallest and the largest one.
    const statistics = hint.kind !== "json" && (element.type !== "BYTE_ARRAY" || element.converted_type === "UTF8");
    return { name, data, statistics };
  });
}

async function plansOf(spool: Spool, signal: AbortSignal): Promise<ColumnPlan[]> {
  const fields = new Map<string, FieldFacts>();
  let records = 0;
  for await (const some of spool.records()) {
    signal.throwIfAborted();
    records += some.length;
    for (const record of some) {
      for (const name of Object.keys(record)) {
        const value = record[name];
        if (value !== undefined) note(fields, name, value);
      }
    }
  }
  return [...fields].map(([name, facts]) => planOf(name, facts, records));
}

function note(fields: Map<string, FieldFacts>, name: string, value: P2PValue): void {
  let facts = fields.get(name);
  if (facts === undefined) {
    facts = { kinds: new Set(), present: 0, areInt32: true, areSafeIntegers: true, largest: 0n };
    fields.set(name, facts);
  }
  facts.present++;
  facts.kinds.add(valueType(value));
  if (typeof value === "number") {
    facts.areInt32 &&= (value | 0) === value && !Object.is(value, -0);
    facts.areSafeIntegers &&= Number.isSafeInteger(value) && !Object.is(value, -0);
  } else if (typeof value === "bigint") {
    const size = value < 0n ? -value : value;
    if (size > facts.largest) facts.largest = size;
  }
}

const same = (value: unknown): unknown => value;
const json = (value: P2PValue): Uint8Array => Buffer.from(jsonOfValue(value), "utf8");

function planOf(name: string, facts: FieldFacts, records: number): ColumnPlan {
  const { kinds, present } = facts;
  // A null is a field that is not there, where no field is null.
  const absent = present < records && !kinds.has("null");
  const others = [...kinds].filter((kind) => kind !== "null");
  const plan = (
    type: Partial<SchemaElement>,
    kind: ColumnHint["kind"] = "other",
    encode: (value: never) => unknown = same,
  ): ColumnPlan => ({
    name,
    element: { name, repetition_type: "OPTIONAL", ...type },
    hint: { kind, absent },
    encode,
  });
  switch (others.length === 1 ? others[0] : others.length === 0 ? "string" : "tagged") {
    case "string":
      return plan({ type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } });
    case "boolean":
      return plan({ type: "BOOLEAN" });
    case "date": {
      const moment = { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" } as const;
      return plan({ type: "INT64", converted_type: "TIMESTAMP_MILLIS", logical_type: moment });
    }
    case "bytes":
      return plan({ type: "BYTE_ARRAY" });
    case "number":
      if (facts.areInt32) return plan({ type: "INT32" }, "number");
      if (facts.areSafeIntegers) return plan({ type: "INT64" }, "number", (value: number) => BigInt(value));
      return plan({ type: "DOUBLE" }, "number");
    case "bigint":
      if (facts.largest < 2n ** 63n) return plan({ type: "INT64" }, "bigint");
      if (facts.largest < 10n ** 38n) {
        const decimal = { precision: 38, scale: 0 };
        return plan(
          {
            type: "FIXED_LEN_BYTE_ARRAY",
            type_length: 16,
            converted_type: "DECIMAL",
            logical_type: { type: "DECIMAL", ...decimal },
            ...decimal,
          },
          "bigint",
        );
      }
      break;
    default:
  }
  // As text in UTF-8: the writer's own JSON would make numbers of bigints.
  return plan({ type: "BYTE_ARRAY", logical_type: { type: "JSON" } }, "json", json);
}
