import {
  getField,
  idKey,
  type P2PRecord,
  type P2PValue,
  TaggedValue,
  valuesEqual,
  valueType,
} from "@omni/p2p-core/starter";

/** Most differences that a message lists. */
const MAX_LISTED = 20;
/** Longest text of one value in a message. */
const MAX_SHOWN = 80;

/** How {@link assertSameRecords} compares. */
export interface CompareOptions {
  /** Whether the order counts too. Default `false`: records are matched by id. */
  readonly ordered?: boolean;
  /** Put before the message. */
  readonly context?: string;
}

/**
 * Throws when two lists do not hold the same records with the same values of the same types. The message names each
 * record, field and type that differs, and each record that is missing, extra or repeated.
 *
 * @example
 * ```ts
 * assertSameRecords(await readAll(target), sampleRecords(2000));
 * // Records differ (2 differences):
 * //   id "a1": field "total": expected bigint 5, got number 5
 * //   id "a2": missing
 * ```
 */
export function assertSameRecords(
  actual: readonly P2PRecord[],
  expected: readonly P2PRecord[],
  options: CompareOptions = {},
): void {
  const differences = listDifferences(actual, expected);
  if (differences.length === 0 && options.ordered) differences.push(...orderDifferences(actual, expected));
  if (differences.length === 0) return;
  const listed = differences.slice(0, MAX_LISTED).map((line) => `  ${line}`);
  if (differences.length > listed.length) listed.push(`  and ${differences.length - listed.length} more`);
  const count = `${differences.length} ${differences.length === 1 ? "difference" : "differences"}`;
  const prefix = options.context === undefined ? "" : `${options.context}: `;
  throw new Error(`${prefix}Records differ (${count}):\n${listed.join("\n")}`);
}

function listDifferences(actual: readonly P2PRecord[], expected: readonly P2PRecord[]): string[] {
  const differences: string[] = [];
  const found = new Map<string, P2PRecord>();
  for (const record of actual) {
    const key = idKey(record.id);
    if (found.has(key)) differences.push(`id ${describeValue(record.id)}: comes more than once`);
    else found.set(key, record);
  }
  const wanted = new Set<string>();
  for (const record of expected) {
    const key = idKey(record.id);
    wanted.add(key);
    const other = found.get(key);
    if (other === undefined) differences.push(`id ${describeValue(record.id)}: missing`);
    else differences.push(...recordDifferences(other, record));
  }
  for (const [key, record] of found) {
    if (!wanted.has(key)) differences.push(`id ${describeValue(record.id)}: was not expected`);
  }
  return differences;
}

function orderDifferences(actual: readonly P2PRecord[], expected: readonly P2PRecord[]): string[] {
  const at = expected.findIndex((record, i) => idKey(record.id) !== idKey(actual[i]!.id));
  if (at < 0) return [];
  return [
    `order: record ${at} should be id ${describeValue(expected[at]!.id)}, but is id ${describeValue(actual[at]!.id)}`,
  ];
}

/** The fields in which two versions of one record differ, each as a line of text. */
function recordDifferences(actual: P2PRecord, expected: P2PRecord): string[] {
  const lines: string[] = [];
  for (const field of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
    const difference = valueDifference(getField(actual, field), getField(expected, field), JSON.stringify(field));
    if (difference !== undefined) lines.push(`id ${describeValue(expected.id)}: field ${difference}`);
  }
  return lines;
}

/** The innermost place at which two values differ, or `undefined` when they are equal. */
function valueDifference(
  actual: P2PValue | undefined,
  expected: P2PValue | undefined,
  path: string,
): string | undefined {
  if (valuesEqual(actual, expected)) return undefined;
  if (actual !== undefined && expected !== undefined && valueType(actual) === valueType(expected)) {
    const inner = innerDifference(actual, expected, path);
    if (inner !== undefined) return inner;
  }
  return `${path}: expected ${describeTyped(expected)}, got ${describeTyped(actual)}`;
}

function innerDifference(actual: P2PValue, expected: P2PValue, path: string): string | undefined {
  const [left, right] = [actual as Record<string, P2PValue>, expected as Record<string, P2PValue>];
  const type = valueType(expected);
  switch (type) {
    case "array":
      if (left.length !== right.length) return undefined;
      return firstOf(Object.keys(right), (key) => valueDifference(left[key], right[key], `${path}[${key}]`));
    case "object":
      return firstOf(new Set([...Object.keys(right), ...Object.keys(left)]), (key) =>
        valueDifference(getField(left, key), getField(right, key), `${path}.${JSON.stringify(key)}`),
      );
    case "tagged": {
      const [a, b] = [actual as TaggedValue, expected as TaggedValue];
      return a.type === b.type ? valueDifference(a.value, b.value, `${path}.value`) : undefined;
    }
    case "string":
    case "number":
    case "bigint":
    case "boolean":
    case "null":
    case "date":
    case "bytes":
      return undefined;
    default:
      return type satisfies never;
  }
}

function firstOf(keys: Iterable<string>, find: (key: string) => string | undefined): string | undefined {
  for (const key of keys) {
    const found = find(key);
    if (found !== undefined) return found;
  }
  return undefined;
}

function describeTyped(value: P2PValue | undefined): string {
  return value === undefined ? "no field" : `${valueType(value)} ${describeValue(value)}`;
}

/** A value as short readable text: escapes are visible and `-0` is told from `0`. */
export function describeValue(value: P2PValue | undefined): string {
  const text = show(value, 0);
  if (text.length <= MAX_SHOWN) return text;
  return `${text.slice(0, MAX_SHOWN - 20).replace(/[\uD800-\uDBFF]$/, "")}… (${text.length} characters)`;
}

function show(value: P2PValue | undefined, depth: number): string {
  if (value === undefined) return "absent";
  switch (typeof value) {
    case "string":
      return JSON.stringify(value).replace(/[\u007f-\u{10ffff}]/gu, escapeOddCharacter);
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "boolean":
      return String(value);
    default:
      return value === null ? "null" : showObject(value, depth);
  }
}

function showObject(value: Exclude<P2PValue, null | boolean | number | bigint | string>, depth: number): string {
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "an invalid date" : value.toISOString();
  }
  if (value instanceof Uint8Array) {
    return `<${value.length} bytes: ${Buffer.from(value.subarray(0, 16)).toString("hex")}>`;
  }
  if (value instanceof TaggedValue) return `${value.type}(${show(value.value, depth + 1)})`;
  if (depth > 5) return "…";
  if (Array.isArray(value)) return `[${value.map((item) => show(item, depth + 1)).join(", ")}]`;
  const entries = Object.entries(value).map(([key, inner]) => `${JSON.stringify(key)}: ${show(inner, depth + 1)}`);
  return `{${entries.join(", ")}}`;
}

/** Letters are shown as they are; controls, marks and what has no glyph as an escape. */
function escapeOddCharacter(character: string): string {
  return /[\p{L}\p{Emoji_Presentation}]/u.test(character)
    ? character
    : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
