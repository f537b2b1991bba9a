/** Watermarks: values of a field of which every later one is greater, and how far before one of them to begin. */
import { P2PError } from "../../errors.ts";
import { type P2PValue, valueType } from "../../model/value-tree.ts";
import { instantOf } from "../conversion/instant.ts";

/** What a run begins before the watermark unless it is told otherwise, in ms. */
const OVERLAP_MS = 60_000;

/** Texts that sort as the times that they say: one separator, and no zone or the one sign for UTC. */
const TIME_TEXT = /^\d{4}-\d\d-\d\d(?:([T ])\d\d:\d\d:\d\d(\.\d{1,9})?(Z)?)?$/;

/** What makes two texts sort as their times. */
function formOf(text: string): string | undefined {
  const parts = TIME_TEXT.exec(text);
  return parts === null || instantOf(text) === undefined ? undefined : `${parts[1] ?? "day"}${parts[3] ?? ""}`;
}

/**
 * What is wrong with a field as a watermark, judged by its lowest and its highest value: between them all values are of their kind,
 * since kinds follow each other in the order of values.
 *
 * @throws P2PError `INVALID_QUERY`.
 */
export function assertGrows(field: string, lowest: P2PValue, highest: P2PValue): void {
  const kinds = [lowest, highest].map((value) => kindOf(value));
  const [low, high] = kinds;
  if (low !== undefined && low === high) return;
  const named = JSON.stringify(field);
  const [bad] = [lowest, highest].filter((_, at) => kinds[at] === undefined);
  if (bad === undefined) {
    throw refused(
      `${named} holds values of several kinds (${low} and ${high}), of which no one is the highest; take a field of one kind`,
    );
  }
  const type = valueType(bad);
  throw refused(
    type === "tagged"
      ? `${named} holds values that only their store can compare, such as ${shown(bad)}; take a column of milliseconds (timestamptz(3)) or a number`
      : type === "string"
        ? `${named} holds the text ${shown(bad)}, and texts sort as times only as 2024-01-31, 2024-01-31 08:15:00 or 2024-01-31T08:15:00Z; take another field`
        : `${named} holds a value of type ${type}, which does not grow; take a number, a date or a text of a time`,
  );
}

function kindOf(value: P2PValue): string | undefined {
  const type = valueType(value);
  if (type === "bigint") return "number";
  if (type === "number") return Number.isFinite(value) ? type : undefined;
  if (type === "date") return type;
  if (type !== "string") return undefined;
  const form = formOf(value as string);
  return form === undefined ? undefined : `text of a time (${form})`;
}

/** Where the next run begins: the watermark less the overlap, as a value of the same kind and form. */
export function beginBefore(watermark: P2PValue, overlap: number | undefined): P2PValue {
  if (watermark instanceof Date) return new Date(watermark.getTime() - (overlap ?? OVERLAP_MS));
  if (typeof watermark === "bigint") return watermark - BigInt(Math.ceil(overlap ?? 0));
  if (typeof watermark === "number") {
    // A double far from zero may take no small step: then one is taken that is large enough.
    const begin = watermark - (overlap ?? 0);
    return overlap && begin === watermark ? watermark - Math.abs(watermark) * Number.EPSILON : begin;
  }
  const text = watermark as string;
  const { ms } = instantOf(text)!;
  // Downwards to the whole second, so that a text with or without a fraction is behind it.
  const second = Math.floor((ms - (overlap ?? OVERLAP_MS)) / 1000) * 1000;
  const iso = new Date(second).toISOString();
  const [, separator] = TIME_TEXT.exec(text)!;
  if (separator === undefined) return iso.slice(0, 10);
  // Without what ends it: in any form it is then the first of its second.
  return iso.slice(0, 19).replace("T", separator);
}

/**
 * The stretch of texts that say the same times as those from a text with a T on and sort before it, since a blank does: both are in one
 * column where some are written by a program and some by the store. `undefined` for other values.
 */
export function otherForm(from: P2PValue): { readonly from: string; readonly before: string } | undefined {
  if (typeof from !== "string" || from[10] !== "T") return undefined;
  return { from: from.replace("T", " "), before: from.slice(0, 11) };
}

/** The watermark, and not later than now where it is a time: one in the future would keep all that comes until then from being read. */
export function notAfter(watermark: P2PValue, now: Date): P2PValue {
  if (watermark instanceof Date) return watermark > now ? now : watermark;
  if (typeof watermark !== "string") return watermark;
  const instant = instantOf(watermark);
  if (instant === undefined || instant.ms <= now.getTime()) return watermark;
  const [, separator] = TIME_TEXT.exec(watermark)!;
  const iso = now.toISOString();
  if (separator === undefined) return iso.slice(0, 10);
  return `${iso.slice(0, 19).replace("T", separator)}${watermark.endsWith("Z") ? "Z" : ""}`;
}

export function shown(value: P2PValue): string {
  const text =
    value instanceof Date ? value.toISOString() : typeof value === "string" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

function refused(what: string): P2PError {
  return new P2PError("INVALID_QUERY", `Invalid query: since cannot go by this field: ${what}`);
}
