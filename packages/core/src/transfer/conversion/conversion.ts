/** Type conversion as a step of a transfer, before its schema and its transform. */
import { type ConnectionConfig, type ConversionType, RECOGNITIONS, type Recognition } from "../../config.ts";
import { P2PError } from "../../errors.ts";
import type { MutableRecord } from "../../model/record.ts";
import { getField, type P2PObject, type P2PValue, setField, valueType } from "../../model/value-tree.ts";
import { shownName, suggest } from "../../suggest.ts";
import { describeId, type Transform } from "../transform.ts";
import { convertValue, Misfit } from "./convert-value.ts";
import { recognised } from "./recognise.ts";

/** What a conversion goes by. */
export type ConversionOptions = {
  readonly [K in "as" | "recognise" | "misfits"]?: ConnectionConfig[K] | undefined;
};

/** A value before and after. */
export interface ConvertedSample {
  readonly field: string;
  readonly before: P2PValue;
  readonly after: P2PValue;
}

/** Samples that are kept of each field, and in all. */
const SAMPLES = 3;
const MOST_SAMPLES = 300;

/** Longest value in a message, in characters. */
const MAX_SHOWN = 80;

/** Names of fields that are kept to suggest one of them. */
const MOST_NAMES = 5000;

/** Records whose fields are looked at for names. */
const FIRST = 100;

/** Names the conversion in checkpoints, so that no other one is gone on with; empty where there is none. */
export function conversionName({ as = {}, recognise, misfits = "fail" }: ConversionOptions): string {
  const fields = Object.entries(as).sort(([a], [b]) => (a < b ? -1 : 1));
  const kinds = [...kindsOf(recognise)].sort();
  if (fields.length === 0 && kinds.length === 0) return "";
  return JSON.stringify({
    ...(fields.length > 0 && { as: fields, ...(misfits !== "fail" && { misfits }) }),
    ...(kinds.length > 0 && { recognise: kinds }),
  });
}

function kindsOf(recognise: ConnectionConfig["recognise"] | undefined): ReadonlySet<Recognition> {
  return new Set(recognise === true ? RECOGNITIONS : recognise || []);
}

/** The conversion that these options ask for, if they ask for one. */
export function conversionOf(options: ConversionOptions): Conversion | undefined {
  return conversionName(options) === "" ? undefined : new Conversion(options);
}

/** Makes of each record one with the types that were asked for, or fails on it. It remembers what the user should be told. */
export class Conversion {
  readonly #fields: readonly {
    readonly field: string;
    readonly path: readonly string[];
    readonly type: ConversionType;
  }[];
  readonly #kinds: ReadonlySet<Recognition>;
  readonly #keep: boolean;
  readonly #kept = new Map<string, string>();
  readonly #unseen: Set<string>;
  readonly #names = new Set<string>();
  readonly #samples = new Map<string, ConvertedSample[]>();
  #looked = 0;
  #sampled = 0;

  constructor({ as = {}, recognise, misfits }: ConversionOptions) {
    this.#fields = Object.entries(as).map(([field, type]) => ({ field, path: field.split("."), type }));
    this.#kinds = kindsOf(recognise);
    this.#keep = misfits === "keep";
    this.#unseen = new Set(this.#fields.map(({ field }) => field));
  }

  /** @throws P2PError `CONVERSION_FAILED`. */
  convert(record: MutableRecord): MutableRecord {
    if (this.#unseen.size > 0) this.#look(record);
    // The one that was read goes into a dead letter as it was.
    const made = { ...record };
    if (this.#kinds.size > 0) this.#recognise(made);
    for (const { field, path, type } of this.#fields) {
      // A field whose own name has dots in it goes before a path.
      const steps = path.length > 1 && Object.hasOwn(record, field) ? [field] : path;
      this.#convertAt(made, steps, 0, type, field, record);
    }
    return made;
  }

  /** The schema and the transform get the record with its new types. */
  before(transform: Transform | undefined): Transform {
    return transform ? (record, context) => transform(this.convert(record), context) : (record) => this.convert(record);
  }

  /** The first few values of each field that became others. */
  samples(): readonly ConvertedSample[] {
    return [...this.#samples.values()].flat();
  }

  /** What was left as it was, and fields that no record had. */
  notes(): readonly string[] {
    // How many is not told: records are read more than once where sides are compared.
    const kept = [...this.#kept].map(
      ([field, why]) =>
        `Values of ${JSON.stringify(shownName(field))} that do not fit its type went over as they were, the first since ${why}`,
    );
    const unseen = this.#looked === 0 ? [] : [...this.#unseen];
    return [
      ...kept,
      ...unseen.map(
        (field) =>
          `No record has a field ${JSON.stringify(shownName(field))}, of which "as" says the type${suggest(field, [...this.#names])}`,
      ),
    ];
  }

  #look(record: MutableRecord): void {
    if (++this.#looked <= FIRST)
      for (const name of Object.keys(record)) if (this.#names.size < MOST_NAMES) this.#names.add(name);
  }

  #recognise(made: MutableRecord): void {
    for (const name of Object.keys(made)) {
      const value = made[name];
      if (typeof value !== "string" || name === "id" || this.#isConverted(name)) continue;
      const found = recognised(value, this.#kinds);
      if (found === value) continue;
      setField(made, name, found);
      this.#sample(name, value, found);
    }
  }

  #sample(field: string, before: P2PValue, after: P2PValue): void {
    if (this.#sampled >= MOST_SAMPLES) return;
    const samples = this.#samples.get(field) ?? [];
    this.#samples.set(field, samples);
    if (samples.length >= SAMPLES) return;
    samples.push({ field, before, after });
    this.#sampled++;
  }

  #isConverted(name: string): boolean {
    for (const { field, path } of this.#fields) if (field === name || path[0] === name) return true;
    return false;
  }

  #convertAt(
    holder: Record<string, P2PValue | undefined>,
    path: readonly string[],
    at: number,
    type: ConversionType,
    field: string,
    record: MutableRecord,
  ): void {
    const name = path[at]!;
    const value = getField(holder, name);
    if (value === undefined) return;
    const made =
      at === path.length - 1
        ? this.#converted(value, type, field, record)
        : this.#within(value, path, at + 1, type, field, record);
    if (made !== value) setField(holder, name, made);
  }

  /** A copy of an object, or of a list of them, with what the path leads to converted. */
  #within(
    value: P2PValue,
    path: readonly string[],
    at: number,
    type: ConversionType,
    field: string,
    record: MutableRecord,
  ): P2PValue {
    if (Array.isArray(value)) {
      return value.map((item) => this.#within(item as P2PValue, path, at, type, field, record));
    }
    if (value === null || valueType(value) !== "object") return value;
    const copy = { ...(value as P2PObject) };
    this.#convertAt(copy, path, at, type, field, record);
    return copy;
  }

  #converted(value: P2PValue, type: ConversionType, field: string, record: MutableRecord): P2PValue {
    this.#unseen.delete(field);
    const made = convertValue(value, type);
    if (!(made instanceof Misfit)) {
      if (made !== value) this.#sample(field, value, made);
      return made;
    }
    const why = `${shownValue(value)} ${made.why}`;
    if (this.#keep) {
      if (!this.#kept.has(field)) this.#kept.set(field, why);
      return value;
    }
    throw new P2PError(
      "CONVERSION_FAILED",
      `Record ${describeId(record)}: ${JSON.stringify(shownName(field))} cannot be made ${type}, since ${why}`.toWellFormed(),
    );
  }
}

function shownValue(value: P2PValue): string {
  const type = valueType(value);
  if (type === "object" || type === "array" || type === "bytes") return `the ${type}`;
  const text = typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
