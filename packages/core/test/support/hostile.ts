import * as fc from "fast-check";
import { parseConfig } from "../../src/engine.ts";
import { type EndpointInput, parseEndpoint } from "../../src/index.ts";
import { decodeJson, parseQuery } from "../../src/starter.ts";

/** Text of the pieces on which parsers trip, and long runs of one of them. */
const piece = fc.constantFrom(
  ...["a", " ", "\\", '"', "\n", "{", "}", "[", "]", ":", ",", "@", "/", "//", "?", "&", "=", "%", "%2", "+", ".", "-"],
  ...["sqlite:", "redis://", "h1:1", "$p2p", '{"$p2p":"bigint","value":"', "9", "1e5", "null", "\ud800", "é", "\0"],
);
/** What a parser may be given by who means it no good. */
export const hostile = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join("")),
  fc.tuple(piece, fc.integer({ min: 1, max: 4000 })).map(([text, times]) => text.repeat(times)),
  fc.string({ unit: "binary", maxLength: 60 }),
);

/** The parsers of texts in the core that take no file. */
export const PARSERS: readonly (readonly [string, (text: string) => unknown])[] = [
  ["endpoint", (text) => parseEndpoint(text)],
  ["endpoint with a scheme", (text) => parseEndpoint(`redis://${text}`)],
  ["endpoint's options", (text) => parseEndpoint(`sqlite:./x.db?${text}`)],
  ["endpoint object", (text) => parseEndpoint({ storageType: text, host: text, [text]: text } as EndpointInput)],
  ["tagged JSON", (text) => decodeJson(text)],
  ["tag", (text) => decodeJson(JSON.stringify({ $p2p: text, value: text }))],
  ["query", (text) => parseQuery({ where: { [text]: { prefix: text } }, orderBy: text, fields: [text] })],
  ["query's keys", (text) => parseQuery({ [text]: text } as object)],
  ["settings", (text) => parseConfig({ [text]: text } as object)],
  ["values of settings", (text) => parseConfig({ mode: text, maxFailures: text } as object)],
];
