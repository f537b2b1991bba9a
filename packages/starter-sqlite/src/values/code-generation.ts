/** Code generation: functions written for the columns of a query. */
import { type P2PRecord, type P2PValue, setField } from "@omni/p2p-core/starter";
import type { SqlValue } from "../client/sql.ts";
import type { ColumnKind } from "../types.ts";
import { type Decoder, decoders } from "./decode.ts";
import { cellBytes, INEXACT, measure, type Row } from "./measure.ts";

/** One cell of the rows that a function is written for. */
export interface Cell {
  readonly alias: string;
  readonly kind: ColumnKind;
}

/** Engines do not optimise functions without bounds; wider rows are gone through by a loop. */
const MAX_CELLS = 400;
/** Functions that are kept, so that what the engine has learnt of one is not lost with each read. */
const MAX_FUNCTIONS = 100;

const made = new Map<string, unknown>();

/**
 * Code generation: functions for the rows of one table, compiled with a statement for each cell. A loop over the names of the cells takes several
 * times as long, which shows: reading a row of thirty numbers takes SQLite a microsecond and a half. The driver makes
 * its rows by such functions too, so a process that forbids them cannot use it at all.
 */
function compile<T>(body: string, ...helpers: readonly unknown[]): T {
  const known = made.get(body);
  if (known !== undefined) return known as T;
  const names = helpers.map((_, at) => `h${at}`);
  const created = new Function(...names, `"use strict"; ${body}`)(...helpers) as T;
  if (made.size >= MAX_FUNCTIONS) made.delete(made.keys().next().value!);
  made.set(body, created);
  return created;
}

/** {@link measure} for rows with just these cells. */
export function makeMeasure(cells: readonly Cell[]): (row: Row) => number {
  if (cells.length > MAX_CELLS) return measure;
  const steps = cells.map(({ alias, kind }) => {
    const name = JSON.stringify(alias);
    const usual = TEXT_KINDS.has(kind)
      ? 'if (typeof v === "string") bytes += v.length;'
      : `if (typeof v === "number" && v <= ${Number.MAX_SAFE_INTEGER} && v >= ${Number.MIN_SAFE_INTEGER}) bytes += 8;`;
    return `v = row[${name}]; ${usual} else { if ((n = h0(row, ${name})) === ${INEXACT}) return n; bytes += n; }`;
  });
  return compile(`return (row) => { let bytes = 0, v, n; ${steps.join("\n")} return bytes; };`, cellBytes);
}

const TEXT_KINDS: ReadonlySet<ColumnKind> = new Set(["text", "date", "timestamp", "json", "blob", "any"]);

/**
 * Makes the cells of a row, in place, the values of a record.
 *
 * @param exact whether integers were read as bigints where they are no safe integers.
 */
export function makeDecode(cells: readonly Cell[], exact: boolean): (row: Row) => void {
  const decoded = cells.filter(({ kind }) => decoders[kind] !== undefined && (exact || kind !== "number"));
  if (decoded.length > MAX_CELLS) {
    const steps = decoded.map(({ alias, kind }) => [alias, decoders[kind]!] as const);
    return (row) => {
      for (const [alias, decode] of steps) row[alias] = decode(row[alias]!);
    };
  }
  const kinds = [...new Set(decoded.map(({ kind }) => kind))];
  const steps = decoded.map(({ alias, kind }) => {
    const cell = `row[${JSON.stringify(alias)}]`;
    return `${cell} = h${kinds.indexOf(kind)}(${cell});`;
  });
  const helpers: readonly Decoder[] = kinds.map((kind) => decoders[kind]!);
  return compile(`/* ${kinds.join(" ")} */ return (row) => { ${steps.join("\n")} };`, ...helpers);
}

/** The fields of a record that have a value. */
export function definedFields(record: P2PRecord): string[] {
  return Object.keys(record).filter((field) => record[field] !== undefined);
}

/** Whether a record has exactly these fields, in any order. */
export function makeFits(fields: readonly string[]): (record: P2PRecord) => boolean {
  // What every object inherits is there in records without the field too.
  if (fields.length > MAX_CELLS || fields.some((field) => field in Object.prototype)) {
    return (record) =>
      Object.keys(record).length === fields.length &&
      fields.every((field) => Object.hasOwn(record, field) && record[field] !== undefined);
  }
  const tests = fields.map((field) => `record[${JSON.stringify(field)}] !== undefined`);
  const all = [`Object.keys(record).length === ${fields.length}`, ...tests].join(" && ");
  return compile(`return (record) => ${all};`);
}

/** Adds the values of a record's fields to a list; those that are more than a word go through `other`. */
export function makePack(
  fields: readonly string[],
): (record: P2PRecord, values: unknown[], other: (value: P2PValue) => unknown) => void {
  if (fields.length > MAX_CELLS) {
    return (record, values, other) => {
      for (const field of fields) values.push(other(record[field]!));
    };
  }
  const steps = fields.map(
    (field) =>
      `v = record[${JSON.stringify(field)}]; t = typeof v; ` +
      'values.push(t === "string" || t === "number" || t === "boolean" || v === null ? v : other(v));',
  );
  return compile(`return (record, values, other) => { let v, t; ${steps.join("\n")} };`);
}

/** Makes an object of the values that stand in a list from a offset on, turned back by `other`. */
export function makeUnpack(
  fields: readonly string[],
): (values: readonly unknown[], offset: number, other: (value: unknown) => P2PValue) => Row {
  // In a literal, `__proto__` is not a field.
  if (fields.length > MAX_CELLS || fields.includes("__proto__")) {
    return (values, offset, other) => {
      const row: Row = {};
      for (const [at, field] of fields.entries()) setField(row, field, unpackCell(values[offset + at], other));
      return row;
    };
  }
  const cells = fields.map((field, at) => `${JSON.stringify(field)}: h0(values[offset + ${at}], other)`);
  return compile(`return (values, offset, other) => ({ ${cells.join(", ")} });`, unpackCell);
}

function unpackCell(value: unknown, other: (value: unknown) => P2PValue): P2PValue {
  return typeof value === "object" && value !== null ? other(value) : (value as P2PValue);
}

/** One parameter of a statement: what of it can be said in a word, for values of the kind that its column is for. */
export interface Parameter {
  /** `undefined` where the records have no such field: it is NULL then. */
  readonly field: string | undefined;
  readonly usual: "text" | "number" | "boolean" | "other";
}

/**
 * Puts the values of a record among the parameters of a statement, from a offset on. A value that is not the usual one
 * of its parameter is handed to `store`, with the parameter's number.
 */
export type Encode = (
  record: P2PRecord,
  params: SqlValue[],
  offset: number,
  store: (parameter: number, value: P2PValue) => SqlValue,
) => void;

export function makeEncode(parameters: readonly Parameter[]): Encode {
  if (parameters.length > MAX_CELLS) {
    return (record, params, offset, store) => {
      for (const [at, { field }] of parameters.entries()) {
        params[offset + at] = field === undefined ? null : store(at, record[field]!);
      }
    };
  }
  const steps = parameters.map(({ field, usual }, at) => {
    if (field === undefined) return `params[offset + ${at}] = null;`;
    const other = `store(${at}, v)`;
    return `v = record[${JSON.stringify(field)}]; params[offset + ${at}] = ${USUAL[usual](other)};`;
  });
  return compile(`return (record, params, offset, store) => { let v; ${steps.join("\n")} };`);
}

const USUAL: Readonly<Record<Parameter["usual"], (other: string) => string>> = {
  text: (other) => `typeof v === "string" ? v : ${other}`,
  // Neither 0, which may be -0, nor what is not finite.
  number: (other) => `typeof v === "number" && v - v === 0 && v !== 0 ? v : ${other}`,
  boolean: (other) => `v === true ? 1 : v === false ? 0 : ${other}`,
  other: (other) => other,
};
