import { isFine, type Parser } from "./parsers.ts";

/** By how much the time may grow when a text is doubled: in proportion would be 2, and the machine has its moods. */
const MOST = 2.5;

/** Shorter than this a ratio tells of the clock and the collector of garbage, in ms. */
const SAMPLE_MS = 4;

const SAMPLES = 7;

/** What takes as long is measured less often, in ms. */
const SLOW_MS = 200;

/** A doubled text that takes less is fast, whatever the ratio of such times, in ms. */
const FAST_MS = 2;

/** Texts on which parsers trip, by their length. */
const SHAPES: readonly (readonly [string, (length: number) => string])[] = [
  ["spaces", (length) => " ".repeat(length)],
  ["spaces in between", (length) => `a${" ".repeat(length - 2)}b`],
  ["brackets", (length) => "[".repeat(length)],
  ["pairs of brackets", (length) => "[".repeat(length / 2) + "]".repeat(length / 2)],
  ["braces", (length) => "{".repeat(length)],
  ["quotes", (length) => '"'.repeat(length)],
  ["backslashes", (length) => `"${"\\".repeat(length - 1)}`],
  ["digits", (length) => "9".repeat(length)],
  ["a long name", (length) => "a".repeat(length)],
  ["separators", (length) => "a,".repeat(length / 2)],
  ["options", (length) => "a=b&".repeat(length / 4)],
  ["at signs", (length) => "@".repeat(length)],
  ["percent signs", (length) => "%".repeat(length)],
  ["nested objects", (length) => '{"a":'.repeat(length / 5)],
  ["names with escapes", (length) => `{${'"\\n":1,'.repeat(length / 8)}"a":1}`],
  ["a list of numbers", (length) => `[${"1,".repeat(length / 2 - 1)}1]`],
  ["lines", (length) => "a: 1\n".repeat(length / 5)],
  ["indented lines", (length) => "- \n ".repeat(length / 4)],
];

/** How the time of a parser grew with one kind of text. */
export interface Growth {
  readonly parser: string;
  readonly shape: string;
  readonly characters: number;
  readonly ms: number;
  readonly ratio: number;
  readonly trouble?: string;
}

/** Measures a parser with each kind of text, up to the longest that it takes. */
export async function growthOf({ name, longest, parse }: Parser): Promise<Growth[]> {
  const found: Growth[] = [];
  for (const [shape, make] of SHAPES) {
    const texts = [make(longest >> 1), make((longest >> 1) * 2)] as const;
    let best: { ms: number; ratio: number } | undefined;
    let trouble: string | undefined;
    try {
      // Another program may have had the machine meanwhile, which no parser is to blame for.
      for (let attempt = 0; attempt < 6 && !(best && isLinear(best)); attempt++) {
        const [half, whole] = await medians(texts, parse);
        if (!best || whole / half < best.ratio) best = { ms: whole, ratio: whole / half };
      }
      if (!isLinear(best!)) trouble = `takes ${best!.ratio.toFixed(2)} times as long when doubled`;
    } catch (error) {
      trouble = String(error).slice(0, 300);
    }
    const { ms = 0, ratio = 0 } = best ?? {};
    found.push({ parser: name, shape, characters: texts[1].length, ms, ratio, ...(trouble && { trouble }) });
  }
  return found;
}

function isLinear({ ms, ratio }: { readonly ms: number; readonly ratio: number }): boolean {
  return ratio <= MOST || ms < FAST_MS;
}

async function medians(texts: readonly [string, string], parse: Parser["parse"]): Promise<[number, number]> {
  const first = await timeOf(texts[0], parse, 1);
  const times = Math.max(1, Math.min(200, Math.ceil(SAMPLE_MS / first)));
  const samples: [number[], number[]] = [[], []];
  for (let i = 0; i < (first < SLOW_MS ? SAMPLES : 3); i++) {
    samples[0].push(await timeOf(texts[0], parse, times));
    samples[1].push(await timeOf(texts[1], parse, times));
  }
  return [median(samples[0]), median(samples[1])];
}

/** ms that a call takes, of several. */
async function timeOf(text: string, parse: Parser["parse"], times: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < times; i++) {
    try {
      await parse(text);
    } catch (error) {
      if (!isFine(error)) throw error;
    }
  }
  return Math.max((performance.now() - start) / times, 1e-6);
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]!;
}
