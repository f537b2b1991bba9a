/** Code generation: a function written for the columns of one table of ours, which writes plain records in COPY's binary format. */
import { encodeJson, type P2PRecord } from "@omni/p2p-core/starter";
import { compiled, MAX_CELLS } from "../values/code-generation.ts";
import { fitsJsonb } from "../values/json.ts";
import type { OwnIdType } from "../values/own-ids.ts";
import { holdsDate } from "../values/timestamps.ts";
import {
  type BinaryOutput,
  CELL_BYTES,
  digitsOf,
  putBool,
  putBytes,
  putFloat8,
  putInteger,
  putJson,
  putText,
  putTimestamp,
  putWhole,
  UNIT_BYTES,
} from "./binary-output.ts";

/**
 * Writes a record whose every value its column can say fully, and that has no field without one.
 *
 * @param stored what the column `id` holds for it.
 * @returns whether it is such a record; if not, nothing was written.
 */
export type WritePlain = (output: BinaryOutput, record: P2PRecord, stored: string) => boolean;

/** A column, as far as the code must know it. */
interface CodedColumn {
  readonly field: string;
  readonly type: string;
  readonly optional: boolean;
  readonly inherited: boolean;
}

/** What the code calls. */
const CALLED = {
  encodeJson,
  fitsJsonb,
  holdsDate,
  digitsOf,
  putText,
  putJson,
  putFloat8,
  putBool,
  putInteger,
  putTimestamp,
  putBytes,
  putWhole,
};

interface TypeCode {
  /** Whether the value `v` is one that the column says fully. */
  readonly isPlain: string;
  /** What is made of it before there is room for it, as `m`. */
  readonly made?: string;
  /** Bytes that it takes besides those of every cell. */
  readonly room?: string;
  /** Writes it at `at`. */
  readonly put: string;
}

/** By `pg_type.typname`, with `v` and `m` for what is the value's own. The same values as `storeOwn` has cells for. */
const CODES: Readonly<Record<string, TypeCode>> = {
  bool: { isPlain: 'typeof v === "boolean"', put: "putBool(output, at, v)" },
  float8: { isPlain: 'typeof v === "number"', put: "putFloat8(output, at, v)" },
  text: { isPlain: 'typeof v === "string"', room: `${UNIT_BYTES} * v.length`, put: "putText(output, at, v)" },
  timestamptz: {
    isPlain: "v instanceof Date && holdsDate(v)",
    put: "putTimestamp(output, at, v.getTime())",
  },
  bytea: { isPlain: "v instanceof Uint8Array", room: "v.length", put: "putBytes(output, at, v)" },
  jsonb: {
    isPlain: "fitsJsonb(v)",
    made: "encodeJson(v)",
    room: `${UNIT_BYTES} * m.length`,
    put: "putJson(output, at, m)",
  },
  numeric: {
    isPlain: 'typeof v === "bigint"',
    made: "digitsOf(v)",
    room: "2 * m.length",
    put: "putWhole(output, at, v, m)",
  },
};

/** The function for a table; `undefined` where a loop over its columns does better, or must do. */
export function writerOfPlain(idType: OwnIdType, columns: readonly CodedColumn[]): WritePlain | undefined {
  if (columns.length > MAX_CELLS) return undefined;
  // What an object inherits is none of its fields.
  if (columns.some(({ inherited, type }) => inherited || CODES[type] === undefined)) return undefined;
  const looks = columns.map(lookAt);
  const puts = columns.map(putOf);
  const id =
    idType === "text"
      ? {
          isPlain: "record.id === stored",
          put: "putText(output, at, stored)",
          room: ` + ${UNIT_BYTES} * stored.length`,
        }
      : {
          isPlain: "Number.isSafeInteger(record.id) && !Object.is(record.id, -0)",
          put: "putInteger(output, at, record.id)",
          room: "",
        };
  const body = `"use strict"; return (output, record, stored) => {
    if (!(${id.isPlain})) return false;
    let room = ${CELL_BYTES * (columns.length + 3)}${id.room};
    let fields = 1;
    ${looks.join("\n")}
    for (const field in record) fields--;
    if (fields !== 0) return false;
    output.reserve(room);
    let at = output.at;
    output.view.setInt16(at, ${columns.length + 2});
    at = ${id.put.replace("at,", "at + 2,")};
    ${puts.join("\n")}
    output.view.setInt32(at, -1);
    output.at = at + 4;
    return true;
  };`;
  return compiled<(...called: readonly unknown[]) => WritePlain>(Object.keys(CALLED), body)(...Object.values(CALLED));
}

/** Looks at a value, and counts the room that it takes. */
function lookAt({ field, type, optional }: CodedColumn, n: number): string {
  const { isPlain, made, room } = CODES[type]!;
  const own = (code: string) => code.replace(/\bv\b/g, `v${n}`).replace(/\bm\b/g, `m${n}`);
  const make = made === undefined ? "" : `m${n} = ${own(made)}; `;
  const count = room === undefined ? "" : `room += ${own(room)}; `;
  // NULL is null in the columns before the sidecar, and nothing in those behind it.
  const empty = optional ? "undefined" : "null";
  const isField = optional ? "" : "fields++; ";
  return (
    `const v${n} = record[${JSON.stringify(field)}];${made === undefined ? "" : ` let m${n};`} ` +
    `if (v${n} === ${empty}) { ${isField}} ` +
    `else if (v${n} !== ${optional ? "null" : "undefined"} && ${own(isPlain)}) { ${make}${count}fields++; } else return false;`
  );
}

function putOf({ type, optional }: CodedColumn, n: number): string {
  const put = CODES[type]!.put.replace(/\bv\b/g, `v${n}`).replace(/\bm\b/g, `m${n}`);
  const mayFail = type === "text" ? " if (at < 0) return false;" : "";
  return (
    `if (v${n} === ${optional ? "undefined" : "null"}) { output.view.setInt32(at, -1); at += 4; } ` +
    `else { at = ${put};${mayFail} }`
  );
}
