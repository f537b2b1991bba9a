/** NDJSON: a codec of one record a line, in JSON with the tags of dead letters. */
import { isUtf8 } from "node:buffer";
import { P2PError, toP2PError } from "@omni/p2p-core/starter";
import { jsonValueTypes } from "../types.ts";
import { fieldsOfJson, jsonOfFields } from "../values/json-text.ts";
import { type Line, splitLines, tooLongError } from "../values/lines.ts";
import { encodeEach } from "./encode-each.ts";
import type { Format, FormatInput, Item } from "./format.ts";

const BLANK = /^[ \t\r]*$/;
const CARRIAGE_RETURN = 13;

export const ndjson: Format = {
  name: "ndjson",
  endings: ["ndjson", "jsonl", "ldjson"],
  valueTypes: jsonValueTypes,
  read: readLines,
  split: splitAtLines,
  writer({ appendTo, state }) {
    // What is there may end without a line feed, and an empty line does no harm.
    let lead = appendTo === undefined && state !== "append" ? "" : "\n";
    return {
      get state() {
        return lead === "" ? null : "append";
      },
      encode(records) {
        const { texts, failures } = encodeEach(records, (record) => `${jsonOfFields(record)}\n`);
        if (texts.length === 0) return { chunks: [], failures };
        const chunk = Buffer.from(lead + texts.join(""));
        lead = "";
        return { chunks: [chunk], failures };
      },
      end: () => [],
    };
  },
};

async function* readLines(input: FormatInput): AsyncGenerator<readonly Item[]> {
  const { options, signal, upTo = Number.POSITIVE_INFINITY } = input;
  const start = input.start ?? { at: 0, line: 1 };
  for await (const lines of splitLines(input.bytes(start.at), options.maxLine, start.at, start.line)) {
    signal.throwIfAborted();
    const items: Item[] = [];
    for (const line of lines) {
      if (line.end - line.length >= upTo) {
        yield items;
        return;
      }
      const item = itemOf(line, input);
      if (item) items.push(item);
    }
    yield items;
  }
}

function itemOf(line: Line, { options, label }: FormatInput): Item | undefined {
  const { number, end, length } = line;
  const place = { line: number, end: { at: end, line: number + 1 }, bytes: length };
  try {
    const text = textOf(line, options.maxLine, label);
    if (BLANK.test(text)) return undefined;
    return { fields: fieldsOfJson(text), ...place };
  } catch (cause) {
    const known = toP2PError(cause, "INVALID_RECORD", "it cannot be made out");
    if (known.code === "READ_FAILED") throw known;
    const torn = line.isWhole ? "" : "; the file ends in the middle of it, so its last line is torn";
    return {
      error: new P2PError(known.code, `Line ${number} of ${label}: ${known.message}${torn}`, { cause }),
      ...place,
    };
  }
}

function textOf({ bytes, number, length }: Line, maxLine: number, label: string): string {
  if (bytes === undefined) throw tooLongError(length, maxLine);
  let text = bytes;
  if (text.at(-1) === CARRIAGE_RETURN) text = text.subarray(0, -1);
  if (number === 1) text = withoutMark(text, label);
  if (!isUtf8(text)) throw new P2PError("INVALID_RECORD", "it is not in UTF-8");
  return text.toString("utf8");
}

function withoutMark(bytes: Buffer, label: string): Buffer {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return bytes.subarray(3);
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new P2PError(
      "READ_FAILED",
      `${label} is in UTF-16, and JSON is in UTF-8; convert it first, for instance with iconv -f UTF-16 -t UTF-8`,
    );
  }
  return bytes;
}

/** The beginnings of lines that come next after even parts of the file. */
async function splitAtLines(input: FormatInput, parts: number): Promise<readonly number[]> {
  const { random } = input;
  if (random === undefined) return [];
  const places: number[] = [];
  for (let part = 1; part < parts; part++) {
    const wanted = Math.floor((random.size * part) / parts);
    if (wanted <= (places.at(-1) ?? 0)) continue;
    const place = await nextLine(random, wanted - 1);
    if (place < random.size && place > (places.at(-1) ?? 0)) places.push(place);
  }
  return places;
}

async function nextLine({ size, read }: NonNullable<FormatInput["random"]>, from: number): Promise<number> {
  for (let offset = from; offset < size; offset += 65_536) {
    const at = Buffer.from(await read(offset, 65_536)).indexOf(10);
    if (at >= 0) return offset + at + 1;
  }
  return size;
}
