import { expect, it } from "vitest";
import { PROGRESS_INTERVALS_MS } from "../src/output/progress-interval.ts";
import { buildProgram } from "../src/program.ts";

it("--progress-interval tells the intervals that hold", () => {
  const { live, json, plain } = PROGRESS_INTERVALS_MS;
  const told = `(default: ${live}ms live, ${json / 1000}s JSON, ${plain / 1000}s plain)`;
  const flags = buildProgram(async () => {}).commands.flatMap(({ options }) =>
    options.filter(({ long }) => long === "--progress-interval"),
  );
  expect(flags.length).toBeGreaterThanOrEqual(4);
  for (const { description } of flags) expect(description).toContain(told);
});
