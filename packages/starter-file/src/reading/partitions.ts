/** Partitions: files, and ranges of large ones, put together into parts of about one size. */
import { isIndivisible, type P2PQuery } from "@omni/p2p-core/starter";
import { type Place, partitionOf } from "../query/cursor.ts";
import { parseFileQuery } from "../query/query.ts";
import type { FileSource } from "./source.ts";

interface Piece {
  readonly from: Place;
  readonly size: number;
}

/** At most so many queries, which are disjoint and together the whole. */
export async function partitionQuery(
  source: FileSource,
  query: P2PQuery,
  parts: number,
  signal: AbortSignal,
): Promise<P2PQuery[]> {
  if (source.isPipe || isIndivisible(parseFileQuery(query), parts)) return [query];
  const pieces = await piecesOf(source, parts, signal);
  const whole = pieces.reduce((sum, { size }) => sum + size, 0);
  const begins: Place[] = [];
  let before = 0;
  for (const { from, size } of pieces) {
    // A part begins with the first piece of which most lies beyond the parts before it.
    if (begins.length === 0 || (before + size / 2 >= (whole * begins.length) / parts && begins.length < parts)) {
      begins.push(from);
    }
    before += size;
  }
  if (begins.length < 2) return [query];
  return begins.map((from, i) => ({ ...query, partition: partitionOf(i === 0 ? [0, 0] : from, begins[i + 1]) }));
}

async function piecesOf(source: FileSource, parts: number, signal: AbortSignal): Promise<Piece[]> {
  const whole = source.files.reduce((sum, { size }) => sum + size, 0);
  // Lines that are counted from the beginning of a file cannot be counted from its middle.
  const mayDivide = source.format.split !== undefined && (await source.key(signal)) !== "line";
  const pieces: Piece[] = [];
  for (const [number, file] of source.files.entries()) {
    const wanted = mayDivide ? Math.ceil((parts * file.size) / Math.max(1, whole)) : 1;
    const places = [0];
    if (wanted > 1) {
      await using open = await source.openInput(file, {}, signal);
      places.push(...(await source.format.split!(open.input, wanted)));
    }
    // Places may count records, and are even anyway.
    for (const at of places) pieces.push({ from: [number, at], size: file.size / places.length });
  }
  return pieces;
}
