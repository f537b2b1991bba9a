/**
 * JSON as a line of NDJSON, with its end. JSON may hold U+2028 and U+2029 as they are, and Node's `readline` takes them for ends of
 * lines.
 */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value).replaceAll("\u2028", "\\u2028").replaceAll("\u2029", "\\u2029")}\n`;
}
