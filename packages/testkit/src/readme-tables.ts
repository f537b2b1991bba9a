import type { OptionSpec, OptionSpecs } from "@omni/p2p-core/starter";

/**
 * The rows of a Markdown table, so that a test can hold a starter's README to its code.
 *
 * @param heading the whole text of the table's first head cell.
 * @returns the cells of each row, trimmed; none when there is no such table.
 * @example
 * expect(tableRows(readme, "option")).toEqual(optionRows(starter.options));
 */
export function tableRows(markdown: string, heading: string): string[][] {
  const lines = markdown.split("\n");
  const head = lines.findIndex((line) => cellsOf(line)[0] === heading);
  if (head < 0) return [];
  const end = lines.findIndex((line, i) => i > head && !line.startsWith("|"));
  return lines.slice(head + 2, end < 0 ? undefined : end).map(cellsOf);
}

/** What a starter's options should look like in a README: name, type or values, default, meaning. */
export function optionRows(options: OptionSpecs): string[][] {
  return Object.entries(options).map(([name, spec]: [string, OptionSpec]) => [
    `\`${name}\``,
    spec.values?.map((value) => `\`${value}\``).join(", ") ?? spec.type,
    spec.default === undefined || spec.default === "" ? "" : `\`${spec.default}\``,
    spec.description,
  ]);
}

function cellsOf(line: string): string[] {
  return line.startsWith("|")
    ? line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim())
    : [];
}
