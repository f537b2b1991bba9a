/** JSON arrays: a streaming codec of records as the elements of one array, by a scanner that looks for their ends alone. */
import { isUtf8 } from "node:buffer";
import { P2PError, toP2PError } from "@omni/p2p-core/starter";
import { jsonValueTypes } from "../types.ts";
import { fieldsOfJson, jsonOfFields } from "../values/json-text.ts";
import { tooLongError } from "../values/lines.ts";
import { encodeEach } from "./encode-each.ts";
import type { Format, FormatInput, FormatWriter, Item, WriterStart } from "./format.ts";
import { type Element, ElementScanner } from "./json-scan.ts";

/** The array of a file, or objects one after the other. */
export const json: Format = {
  name: "json",
  endings: ["json"],
  unit: "Record",
  valueTypes: jsonValueTypes,
  read: readElements,
  writer: arrayWriter,
};

async function* readElements(input: FormatInput): AsyncGenerator<readonly Item[]> {
  const { options, signal, label } = input;
  const start = input.start ?? { at: 0, line: 1 };
  const scanner = new ElementScanner(start.at, start.line, options.maxLine);
  try {
    for await (const chunk of input.bytes(start.at)) {
      signal.throwIfAborted();
      yield scanner.scan(chunk).map((element) => itemOf(element, input));
    }
    scanner.end();
  } catch (error) {
    // What was found before the trouble is good.
    yield scanner.found().map((element) => itemOf(element, input));
    throw error instanceof SyntaxError
      ? new P2PError("READ_FAILED", `${label} cannot be read to its end: ${error.message}`, { cause: error })
      : error;
  }
}

function itemOf({ bytes, number, end, length }: Element, { options, label }: FormatInput): Item {
  const place = { line: number, end: { at: end, line: number + 1 }, bytes: length };
  try {
    if (bytes === undefined) throw tooLongError(length, options.maxLine);
    if (!isUtf8(bytes)) throw new P2PError("INVALID_RECORD", "it is not in UTF-8");
    return { fields: fieldsOfJson(bytes.toString("utf8")), ...place };
  } catch (cause) {
    const { code, message } = toP2PError(cause, "INVALID_RECORD", "it cannot be made out");
    return { error: new P2PError(code, `Record ${number} of ${label}: ${message}`, { cause }), ...place };
  }
}

async function arrayWriter({ state, appendTo, label }: WriterStart): Promise<FormatWriter> {
  const tail = appendTo && (await arrayTail(appendTo, label));
  let begun = state === "begun" || state === "open" || tail !== undefined;
  let isEmpty = tail?.isEmpty ?? state !== "begun";
  return {
    ...(tail && { keep: tail.keep }),
    get state() {
      if (!begun) return null;
      return isEmpty ? "open" : "begun";
    },
    encode(records) {
      const { texts, failures } = encodeEach(records, jsonOfFields);
      if (texts.length === 0) return { chunks: [], failures };
      const lead = begun ? (isEmpty ? "\n" : ",\n") : "[\n";
      begun = true;
      isEmpty = false;
      return { chunks: [Buffer.from(lead + texts.join(",\n"))], failures };
    },
    end: () => [Buffer.from(begun ? "\n]\n" : "[]\n")],
  };
}

const SPACE = /[ \t\r\n]/;

/** Where the array ends that is there, and whether it has elements. */
async function arrayTail(input: FormatInput, label: string): Promise<{ keep: number; isEmpty: boolean }> {
  const { random } = input;
  if (random === undefined) {
    throw new P2PError(
      "UNSUPPORTED_OPERATION",
      `${label} is a compressed JSON array, to which nothing can be appended; take NDJSON, or ?ifExists=replace`,
    );
  }
  const from = Math.max(0, random.size - 65_536);
  const text = Buffer.from(await random.read(from, random.size - from)).toString("latin1");
  const end = lastMark(text, text.length);
  const before = end < 0 ? -1 : lastMark(text, end);
  if (text[end] !== "]" || before < 0) {
    throw new P2PError(
      "TARGET_NOT_WRITABLE",
      `${label} does not end as a JSON array does, so nothing can be appended to it`,
    );
  }
  return { keep: from + before + 1, isEmpty: text[before] === "[" };
}

/** The last place before another that is no white space. */
function lastMark(text: string, before: number): number {
  let at = before - 1;
  while (at >= 0 && SPACE.test(text[at]!)) at--;
  return at;
}
