import { type Decoder, decoders } from "./decode.ts";
import { cellBytes, INEXACT, measure, type Row } from "./measure.ts";
import type { ColumnKind } from "./types.ts";

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
 * Functions for the rows of one table, written out cell by cell. A loop over the names of the cells takes several
 * times as long, which shows: reading a row of thirty numbers takes SQLite a microsecond and a half. The driver makes
 * its rows by such functions too, so a process that forbids them cannot use it at all.
 */
function writtenOut<T>(body: string, ...helpers: readonly unknown[]): T {
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
  return writtenOut(`return (row) => { let bytes = 0, v, n; ${steps.join("\n")} return bytes; };`, cellBytes);
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
  return writtenOut(`/* ${kinds.join(" ")} */ return (row) => { ${steps.join("\n")} };`, ...helpers);
}
