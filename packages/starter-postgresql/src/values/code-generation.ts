/** Code generation: functions written for the columns of a query. */
import type { P2PRecord, P2PValue } from "@omni/p2p-core/starter";
import type { Row } from "../client/session.ts";
import type { Decoder } from "./decode.ts";

/** Engines do not optimise functions without bounds; wider rows are gone through by a loop. */
export const MAX_CELLS = 400;
/** Functions that are kept, so that what the engine has learnt of one is not lost with each read. */
const MAX_FUNCTIONS = 100;

const made = new Map<string, unknown>();

/** The function with such a body: one for all who ask. */
export function compiled<Made>(parameters: readonly string[], body: string): Made {
  let make = made.get(body);
  if (make === undefined) {
    make = new Function(...parameters, body);
    if (made.size >= MAX_FUNCTIONS) made.delete(made.keys().next().value!);
    made.set(body, make);
  }
  return make as Made;
}

/** One field of the records: where its cell stands in the row, and what makes a value of it. */
export interface FieldCell {
  readonly field: string;
  readonly at: number;
  readonly decode: Decoder;
}

/**
 * Makes records of rows. The records come from a constructor, and not from an object literal: V8 keeps account of what literals
 * make, and where the first ones are kept long it puts all later ones where only a full collection finds them.
 */
export function makeRecords(cells: readonly FieldCell[]): (row: Row) => P2PRecord {
  if (cells.length > MAX_CELLS || cells.some(({ field }) => field === "__proto__")) {
    return (row) => {
      const record: Record<string, P2PValue> = {};
      for (const { field, at, decode } of cells) {
        const cell = row[at]!;
        Object.defineProperty(record, field, {
          value: cell === null ? null : decode(cell),
          configurable: true,
          enumerable: true,
          writable: true,
        });
      }
      return record as P2PRecord;
    };
  }
  const steps = cells.map(
    ({ field, at }, n) => `v = row[${at}]; this[${JSON.stringify(field)}] = v === null ? null : d${n}(v);`,
  );
  const body =
    `"use strict"; function Row(row) { let v; ${steps.join("\n")} } ` +
    "Row.prototype = Object.prototype; return (row) => new Row(row);";
  const names = cells.map((_, n) => `d${n}`);
  const make = compiled<(...decoders: readonly Decoder[]) => (row: Row) => P2PRecord>(names, body);
  return make(...cells.map(({ decode }) => decode));
}
