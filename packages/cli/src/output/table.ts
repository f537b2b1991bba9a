import stringWidth from "string-width";
import { printable } from "./printable.ts";

/** Rows as aligned text, two spaces between the columns. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const clean = [header, ...rows].map((row) => row.map((cell) => printable(cell)));
  const widths = header.map((_, column) => Math.max(...clean.map((row) => stringWidth(row[column] ?? ""))));
  return clean.map((row) =>
    row
      .map((cell, column) =>
        column === row.length - 1 ? cell : cell + " ".repeat(widths[column]! - stringWidth(cell)),
      )
      .join("  ")
      .trimEnd(),
  );
}
