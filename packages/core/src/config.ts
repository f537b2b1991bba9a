/** The settings of a connection as data: types, defaults, bounds, and both spellings of their names. */
import { notPlain } from "./described.ts";
import { P2PError } from "./errors.ts";
import { shownName, suggest } from "./suggest.ts";

/** What must hold of a setting: its type, its bounds and what applies without it. */
interface Setting {
  /** `integer or auto` is a whole number within the bounds, or the word `auto`. */
  readonly type:
    | "integer"
    | "integer or auto"
    | "boolean"
    | "string"
    | "word"
    | "tolerance"
    | "conversions"
    | "recognitions"
    | "rate";
  readonly min?: number;
  readonly max?: number;
  readonly words?: readonly string[];
  readonly default?: number | boolean | string;
}

/** A tolerance for failures: `"none"`, `"all"`, a number of records, or a share such as `"2.5%"`. */
export type FailureTolerance = number | "none" | "all" | `${number}%`;

/** The types that `as` can make of values; see {@link ConnectionConfig.as}. */
const CONVERSION_TYPES = [
  "date",
  "timestamp",
  "epoch-s",
  "epoch-ms",
  "number",
  "integer",
  "bigint",
  "decimal",
  "boolean",
  "text",
  "json",
  "base64",
  "hex",
] as const;

/** One of the types that `as` can make of values. */
export type ConversionType = (typeof CONVERSION_TYPES)[number];

/** What `recognise` can find in texts. */
export const RECOGNITIONS = ["dates", "json"] as const;

/** One of the things that `recognise` can find in texts. */
export type Recognition = (typeof RECOGNITIONS)[number];

/** Longest timer that Node can set, in milliseconds (about 24.8 days); a longer one would end at once. */
export const MAX_TIMER_MS = 2_147_483_647;

/** Every setting by its camelCase name; the guide's spelling is the same in snake_case. */
const SETTINGS = {
  batchSize: { type: "integer or auto", min: 1, max: 100_000, default: 500 },
  autoReconnect: { type: "boolean", default: true },
  maxRetries: { type: "integer", min: 0, max: 1000, default: 3 },
  connectionTimeout: { type: "integer", min: 1, max: MAX_TIMER_MS, default: 5000 },
  transferTimeout: { type: "integer", min: 0, max: MAX_TIMER_MS, default: 0 },
  description: { type: "string" },
  concurrency: { type: "integer", min: 1, max: 64, default: 4 },
  readAhead: { type: "integer", min: 1, max: 64, default: 2 },
  maxBytesInFlight: { type: "integer", min: 1024, max: Number.MAX_SAFE_INTEGER, default: 64 * 1024 * 1024 },
  mode: { type: "word", words: ["upsert", "insert", "skip"], default: "upsert" },
  partitions: { type: "integer", min: 1, max: 64, default: 1 },
  maxFailures: { type: "tolerance" },
  retryDelay: { type: "integer", min: 0, max: MAX_TIMER_MS, default: 100 },
  maxRetryDelay: { type: "integer", min: 0, max: MAX_TIMER_MS, default: 10_000 },
  reconnectTimeout: { type: "integer", min: 0, max: MAX_TIMER_MS, default: 60_000 },
  allowSameStore: { type: "boolean", default: false },
  as: { type: "conversions" },
  recognise: { type: "recognitions", default: false },
  misfits: { type: "word", words: ["fail", "keep"], default: "fail" },
  rateLimit: { type: "rate" },
} as const satisfies Record<string, Setting>;

/** The settings of a connection, and so of the transfers through it, complete and checked. */
export interface ConnectionConfig {
  /**
   * Records in a batch. Default 500. With `"auto"` the transfer finds the size itself, between 50 and 4000, and also how
   * many batches to write at a time, up to `concurrency`.
   */
  readonly batchSize: number | "auto";
  /** Wait for a store that went away, and open it anew, rather than fail. Default `true`. */
  readonly autoReconnect: boolean;
  /** How often what the store refused for the moment is sent again. Default 3. */
  readonly maxRetries: number;
  /** Time in which a store must answer when it is opened or pinged, in ms. Default 5000. */
  readonly connectionTimeout: number;
  /** Time after which a transfer is stopped, in ms. Default 0: never. */
  readonly transferTimeout: number;
  readonly description?: string;
  /** Writes in flight at most; the target's own limit applies as well. Default 4. */
  readonly concurrency: number;
  /** Batches read ahead of the writes. Default 2. */
  readonly readAhead: number;
  /** Bytes of records held in memory at most, roughly. Default 64 MiB. */
  readonly maxBytesInFlight: number;
  /** What becomes of a record whose id is in the target already. Default `"upsert"`. */
  readonly mode: "upsert" | "insert" | "skip";
  /** Parts of the query that are moved side by side; a source that cannot be parted runs as one, and says so. Default 1. */
  readonly partitions: number;
  /** Failed records borne before the transfer stops. Default: all, unless the first 1000 fail without exception. */
  readonly maxFailures?: FailureTolerance;
  /** Longest wait before the first retry, in ms; it doubles with each, and the wait is drawn at random below it. Default 100. */
  readonly retryDelay: number;
  /** Upper bound of that wait, in ms. Default 10 000. */
  readonly maxRetryDelay: number;
  /** How long a store that went away is waited for, in ms. Default 60 000. */
  readonly reconnectTimeout: number;
  /** Move records of a store onto itself, which is refused with `SAME_STORE` otherwise. Default `false`. */
  readonly allowSameStore: boolean;
  /**
   * Fields whose values become values of another type on the way, each exactly or not at all: `{ released: "date", "meta.price": "decimal" }`.
   * A path with dots goes into objects and through lists. Null stays null, and a field that is absent stays so. Default: none.
   */
  readonly as?: Readonly<Record<string, ConversionType>>;
  /**
   * Find in texts, whatever their field, what other programs wrote as text: `"dates"` of SQLite's `CURRENT_TIMESTAMP`
   * (`YYYY-MM-DD HH:MM:SS`, in UTC), and objects and lists in `"json"`, also as Python's `json.dumps` writes them. `true` is both. Fields of
   * `as` and ids are left alone. Default `false`.
   */
  readonly recognise: boolean | readonly Recognition[];
  /**
   * What becomes of a record with a value that does not fit its type in `as`: with `"fail"` it fails with `CONVERSION_FAILED`, with
   * `"keep"` this value goes over as it is. Default `"fail"`.
   */
  readonly misfits: "fail" | "keep";
  /**
   * Most that goes over in a second: records (`5000`, `"5000/s"`) or bytes (`"10MB/s"`, `"512KB/s"`), or both (`"5000/s, 10MB/s"`). Records
   * are counted where a transfer reads them, and where a mirror or a follow writes them. Default: as fast as both ends can.
   */
  readonly rateLimit?: number | string;
}

type SnakeCase<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${SnakeCase<Tail>}`
  : S;

/** Settings as people give them: any of {@link ConnectionConfig}, as `batchSize` or as `batch_size`. */
export type ConnectionConfigInput = {
  readonly [K in keyof ConnectionConfig]?: ConnectionConfig[K] | undefined;
} & { readonly [K in keyof ConnectionConfig as SnakeCase<K>]?: ConnectionConfig[K] | undefined };

const CAMEL = new Map(
  Object.keys(SETTINGS).flatMap((name) => [
    [name, name],
    [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), name],
  ]),
);

/** The settings' names in both spellings. */
export function settingNames(): readonly string[] {
  return [...CAMEL.keys()];
}

/**
 * Checks settings and completes them.
 *
 * @param fallback what applies where nothing is given. Default: the defaults.
 * @throws P2PError `INVALID_CONFIG`, naming the key.
 */
export function parseConfig(input: ConnectionConfigInput = {}, fallback?: ConnectionConfig): ConnectionConfig {
  const found = notPlain(input);
  if (found !== undefined) throw invalid(`it must be an object of settings, and this is ${found}`);
  const config: Record<string, unknown> = { ...(fallback ?? DEFAULTS) };
  const seen = new Map<string, string>();
  for (const [key, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const name = CAMEL.get(key);
    if (name === undefined) {
      throw invalid(
        `unknown key "${shownName(key)}"${suggest(key, [...CAMEL.keys()])}. Known keys: ${Object.keys(SETTINGS).join(", ")}`,
      );
    }
    if (seen.has(name)) throw invalid(`"${seen.get(name)}" and "${key}" are the same setting; give one of them`);
    seen.set(name, key);
    check(key, value, SETTINGS[name as keyof typeof SETTINGS]);
    config[name] = value;
  }
  return config as unknown as ConnectionConfig;
}

function check(key: string, value: unknown, setting: Setting): void {
  switch (setting.type) {
    case "integer or auto":
      if (value === "auto" || isWithin(value, setting)) return;
      throw invalid(
        `"${key}" must be "auto" or a whole number from ${setting.min} to ${setting.max}, not ${show(value)}`,
      );
    case "integer":
      if (isWithin(value, setting)) return;
      throw invalid(`"${key}" must be a whole number from ${setting.min} to ${setting.max}, not ${show(value)}`);
    case "word":
      if (setting.words!.includes(value as string)) return;
      throw invalid(`"${key}" must be one of ${setting.words!.join(", ")}, not ${show(value)}`);
    case "tolerance":
      parseTolerance(value as FailureTolerance, key);
      return;
    case "conversions":
      checkConversions(key, value);
      return;
    case "recognitions":
      if (typeof value === "boolean") return;
      if (Array.isArray(value) && value.every((word) => RECOGNITIONS.includes(word as Recognition))) return;
      throw invalid(`"${key}" must be true, false or a list of ${RECOGNITIONS.join(" and ")}, not ${show(value)}`);
    case "rate":
      parseRate(value as number | string, key);
      return;
    case "string":
    case "boolean":
      if (typeof value !== setting.type) throw invalid(`"${key}" must be a ${setting.type}, not ${show(value)}`);
      return;
    default:
      setting.type satisfies never;
  }
}

function checkConversions(key: string, value: unknown): void {
  const found = notPlain(value);
  if (found !== undefined) throw invalid(`"${key}" must be an object of fields and types, and this is ${found}`);
  for (const [field, type] of Object.entries(value as object)) {
    if (field === "" || !field.isWellFormed()) throw invalid(`"${key}" names a field that no record can have`);
    if (CONVERSION_TYPES.includes(type as ConversionType)) continue;
    const near = typeof type === "string" ? suggest(type, CONVERSION_TYPES) : "";
    throw invalid(
      `"${key}" makes of "${shownName(field)}" ${show(type)}, which is no type${near}. Types: ${CONVERSION_TYPES.join(", ")}`,
    );
  }
}

/** Records and bytes in a second, at most; without the one that is not limited. */
interface Rate {
  readonly records?: number;
  readonly bytes?: number;
}

const RATE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
};

/**
 * A limit such as `5000/s` or `10MB/s` as numbers.
 *
 * @throws P2PError `INVALID_CONFIG`, naming the key.
 */
export function parseRate(value: number | string, key = "rateLimit"): Rate {
  const rate: { records?: number; bytes?: number } = {};
  const parts = typeof value === "number" ? [String(value)] : typeof value === "string" ? value.split(",") : [""];
  for (const part of parts) {
    const [, digits, unit] = /^\s*(\d{1,15}(?:\.\d{1,6})?)\s*([KMG]?i?B)?\s*(?:\/s)?\s*$/i.exec(part) ?? [];
    const amount = Number(digits) * (unit === undefined ? 1 : RATE_UNITS[unit.toLowerCase()]!);
    const kind = unit === undefined ? "records" : "bytes";
    if (!(amount > 0) || rate[kind] !== undefined) {
      throw invalid(
        `"${key}" must be so many records or bytes in a second, such as 5000/s, 10MB/s or both with a comma between, not ${show(value)}`,
      );
    }
    rate[kind] = amount;
  }
  return rate;
}

function isWithin(value: unknown, { min, max }: Setting): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= min! && value <= max!;
}

/** A failure tolerance as a function: whether so many failures among so many records are borne. */
export function parseTolerance(
  value: FailureTolerance,
  key = "maxFailures",
): (failed: number, total: number) => boolean {
  if (value === "all") return () => true;
  if (value === "none") return (failed) => failed === 0;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return (failed) => failed <= value;
  const share = typeof value === "string" && /^\d+(\.\d+)?%$/.test(value) ? Number.parseFloat(value) / 100 : Number.NaN;
  if (!(share >= 0 && share <= 1)) {
    throw invalid(`"${key}" must be "none", "all", a whole number or a share such as "2.5%", not ${show(value)}`);
  }
  // A share says little about the first few records, so it is judged from the hundredth on.
  return (failed, total) => failed <= share * Math.max(total, 100);
}

function show(value: unknown): string {
  return typeof value === "string"
    ? `"${shownName(value)}"`
    : value !== null && typeof value === "object"
      ? "an object"
      : String(value);
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}

const DEFAULTS = Object.fromEntries(
  Object.entries(SETTINGS).flatMap(([name, setting]) => ("default" in setting ? [[name, setting.default]] : [])),
) as unknown as ConnectionConfig;
