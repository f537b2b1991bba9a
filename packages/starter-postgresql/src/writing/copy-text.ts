/** COPY's text format: rows as lines of cells with tabs between. */
import type { Cell } from "../client/session.ts";
import type { PendingRow } from "./row-shape.ts";

/** Characters of a chunk, roughly. */
const CHUNK = 256 * 1024;
/** A cell with more characters is sent by itself, in slices: with all its escapes it may be longer than a string can be. */
const LARGE_CELL = 4 * 1024 * 1024;

const SPECIAL = /[\\\n\r\t]/;
const ALL_SPECIAL = /[\\\n\r\t]/g;
const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** The rows as chunks of the format's text, made as they are asked for. */
export function* copyChunks(rows: readonly PendingRow[], from: number, to: number): Generator<Buffer> {
  let text = "";
  for (let at = from; at < to; at++) {
    const { cells } = rows[at]!;
    for (let column = 0; column < cells.length; column++) {
      if (column > 0) text += "\t";
      const cell = cells[column]!;
      if (cell !== null && cell.length > LARGE_CELL) {
        if (text !== "") yield Buffer.from(text);
        text = "";
        for (const slice of slices(cell)) yield Buffer.from(escaped(slice));
      } else {
        text += escaped(cell);
      }
    }
    text += "\n";
    if (text.length >= CHUNK) {
      yield Buffer.from(text);
      text = "";
    }
  }
  if (text !== "") yield Buffer.from(text);
}

function escaped(cell: Cell): string {
  if (cell === null) return "\\N";
  return SPECIAL.test(cell) ? cell.replace(ALL_SPECIAL, (character) => ESCAPES[character]!) : cell;
}

function* slices(cell: string): Generator<string> {
  for (let from = 0; from < cell.length; ) {
    let to = from + LARGE_CELL;
    // Not between the halves of a character.
    if ((cell.charCodeAt(to - 1) & 0xfc00) === 0xd800) to++;
    yield cell.slice(from, to);
    from = to;
  }
}
