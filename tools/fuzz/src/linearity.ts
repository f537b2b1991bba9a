import { isFine, type Parser } from "./parsers.ts";
import { COMMON_SHAPES } from "./shapes.ts";

/** By how much the time may grow when a text is doubled: in proportion would be 2, and the machine has its moods. */
const MOST = 2.5;

/** How thoroughly is measured. Each length is measured twice, and the least counts: whatever else was done only adds. */
export interface Measuring {
  /** Longest text, in characters. Default: the parser's own. */
  readonly longest?: number;
  /** How often the length is doubled on the way there. Default 1. */
  readonly doublings?: number;
  /** A call that is shorter is repeated until all its repetitions take so long, in ms of this process's own time. Default 5. */
  readonly sampleMs?: number;
  /** By how much the time may grow when a text is doubled. Default 2.5. */
  readonly most?: number;
}

/** A growth that is too large is looked at again so often, for the same reason. */
const ATTEMPTS = 6;

/** What takes as long is measured once an attempt, in ms. */
const SLOW_MS = 200;

/** A text that takes longer is not measured a fourth time, in ms. */
const HOPELESS_MS = 1000;

/**
 * Shorter than this at its very limit, a parser cannot be made to take long, whatever its growth below: a table that was
 * enlarged just there, for instance. In ms.
 */
const BOUNDED_MS = 5;

/** How the time of a parser grew with one kind of text, at the doubling where it grew the most. */
export interface Growth {
  readonly parser: string;
  readonly shape: string;
  readonly characters: number;
  /** Of the longest text, in ms of this process's own time. */
  readonly ms: number;
  readonly ratio: number;
  /** Whether it holds since there is a limit, and not since time grows in proportion. */
  readonly bounded?: true;
  readonly trouble?: string;
}

/** Measures a parser with each kind of text, doubling it up to the longest that is tried. */
export async function growthOf(parser: Parser, measuring: Measuring = {}): Promise<Growth[]> {
  const { longest = parser.longest, doublings = 1, sampleMs = 5, most = MOST } = measuring;
  const found: Growth[] = [];
  for (const [shape, make] of [...COMMON_SHAPES, ...parser.shapes]) {
    const lengths = Array.from({ length: doublings + 1 }, (_, i) => longest >> (doublings - i));
    const texts = lengths.map((length) => make(length));
    found.push({
      parser: parser.name,
      shape,
      characters: texts.at(-1)!.length,
      ...(await grown(texts, parser, sampleMs, most)),
    });
  }
  return found;
}

async function grown(
  texts: readonly string[],
  parser: Parser,
  sampleMs: number,
  most: number,
): Promise<Pick<Growth, "ms" | "ratio" | "bounded" | "trouble">> {
  const best = texts.map(() => Number.POSITIVE_INFINITY);
  let ratio = Number.POSITIVE_INFINITY;
  try {
    for (let attempt = 0; attempt < ATTEMPTS && ratio > most; attempt++) {
      for (const [i, text] of texts.entries())
        best[i] = Math.min(best[i]!, await leastTime(text, parser.parse, sampleMs));
      ratio = Math.max(...best.slice(1).map((ms, i) => ms / best[i]!));
      const isBounded = best.at(-1)! < BOUNDED_MS && texts.at(-1)!.length > parser.limit / 2;
      if (attempt > 1 && (isBounded || best.at(-1)! > HOPELESS_MS)) break;
    }
  } catch (error) {
    return { ms: 0, ratio: 0, trouble: String(error).slice(0, 300) };
  }
  const ms = best.at(-1)!;
  if (ratio <= most) return { ms, ratio };
  if (ms < BOUNDED_MS && texts.at(-1)!.length > parser.limit / 2) return { ms, ratio, bounded: true };
  return { ms, ratio, trouble: `takes ${ratio.toFixed(2)} times as long when doubled, and ${ms.toFixed(1)} ms then` };
}

/** ms that a call takes, the lesser of two measurements. */
async function leastTime(text: string, parse: Parser["parse"], sampleMs: number): Promise<number> {
  let times = 1;
  let least = await timeOf(text, parse, times);
  while (least * times < sampleMs && times < 100_000) {
    times = Math.min(times * 10, Math.ceil((times * sampleMs * 1.5) / Math.max(least * times, 0.01)));
    least = await timeOf(text, parse, times);
  }
  return least > SLOW_MS ? least : Math.min(least, await timeOf(text, parse, times));
}

/** ms of this process's own time that a call takes, of several. */
async function timeOf(text: string, parse: Parser["parse"], times: number): Promise<number> {
  const start = ownTime();
  for (let i = 0; i < times; i++) {
    try {
      await parse(text);
    } catch (error) {
      if (!isFine(error)) throw error;
    }
  }
  return Math.max((ownTime() - start) / times, 1e-6);
}

/** Time that this process has had of the machine, in ms. That of a thread is told in steps too coarse on some systems. */
function ownTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
