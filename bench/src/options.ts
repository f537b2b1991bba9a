import { parseArgs } from "node:util";
import { DIRECTIONS, directionName, matchesDirection, type Store } from "./places.ts";
import { RESULTS_FILE } from "./results.ts";
import { SHAPE_NAMES, type ShapeName } from "./shapes.ts";

/** What `npm run bench` was asked for. */
export interface Options {
  readonly directions: readonly { readonly from: Store; readonly to: Store }[];
  readonly shapes: readonly ShapeName[];
  readonly records: number | undefined;
  readonly rounds: number;
  readonly growth: boolean;
  readonly results: string;
  readonly profile: string | undefined;
}

export const USAGE = `npm run bench -- [options]
  --only 'sqlite -> redis'  only this direction; * stands for any store; may be given again
  --shape text              only this shape: ${SHAPE_NAMES.join(" or ")}
  --records 200000          records in each direction; without it as many as a round has time for
  --rounds 5                rounds that count; 0 adds growth to earlier results, from --records on where that is given
  --no-growth               leaves out the runs in fresh processes, with more records, and keeps earlier ones
  --results FILE            keeps the results there, and leaves chart and page as they are
  --profile FOLDER          writes CPU profiles of ours and of the best loop, and measures nothing`;

/**
 * Reads the command line.
 *
 * @throws TypeError that says what is wrong with it.
 */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    allowNegative: true,
    options: {
      only: { type: "string", multiple: true, default: ["* -> *"] },
      shape: { type: "string", multiple: true, default: [...SHAPE_NAMES] },
      records: { type: "string" },
      rounds: { type: "string", default: "5" },
      growth: { type: "boolean", default: true },
      results: { type: "string", default: RESULTS_FILE },
      profile: { type: "string" },
    },
  });
  const shapes = SHAPE_NAMES.filter((name) => values.shape.includes(name));
  const directions = DIRECTIONS.filter(({ from, to }) =>
    values.only.some((pattern) => matchesDirection(pattern, directionName(from, to))),
  );
  if (directions.length === 0) throw new TypeError(`--only ${values.only.join(", ")} is no direction`);
  if (shapes.length === 0)
    throw new TypeError(`--shape ${values.shape.join(", ")} is none of ${SHAPE_NAMES.join(", ")}`);
  return {
    directions,
    shapes,
    records: values.records === undefined ? undefined : wholeNumber("--records", values.records, 1),
    rounds: wholeNumber("--rounds", values.rounds, 0),
    growth: values.growth,
    results: values.results,
    profile: values.profile,
  };
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new TypeError(`${option} must be a whole number from ${least} on, not ${text}`);
  return value;
}
