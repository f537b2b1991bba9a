/** Parses submissions and jobs that were kept in Redis. */
import type { P2PQuery } from "@omni/p2p-core";
import { parseConfig } from "@omni/p2p-core/engine";
import { decodeJson, messageOf, parseJson, parseQuery } from "@omni/p2p-core/starter";
import { refused } from "../errors.ts";
import { type JobData, MAX_SPEC_CHARACTERS, type TransferSpec } from "../protocol.ts";

/** What each key of a submission must be, and whether it may be absent. */
const SHAPE: Readonly<Record<keyof TransferSpec, (value: unknown) => boolean>> = {
  v: whole,
  id: text,
  source: text,
  target: text,
  query: text,
  partitions: whole,
  grains: whole,
  config: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  maxFailures: (value) => value === undefined || typeof value === "number" || typeof value === "string",
  transform: (value) => value === undefined || text(value),
  deadLetters: (value) => value === undefined || text(value),
  verify: (value) => value === "none" || value === "count" || value === "full",
  createdAt: (value) => text(value) && !Number.isNaN(Date.parse(value as string)),
  expiresAt: (value) => value === undefined || (text(value) && !Number.isNaN(Date.parse(value as string))),
};

/**
 * What was submitted under an id, as it stands in Redis. Whoever may write there may have written anything.
 *
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function parseSpec(id: string, kept: string): TransferSpec {
  if (kept.length > MAX_SPEC_CHARACTERS) throw tooLong(id);
  let value: unknown;
  try {
    value = parseJson(kept);
  } catch {
    throw refused(id, "what is kept under its id is not JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refused(id, "what is kept under its id is no submission");
  }
  const spec = value as Readonly<Record<string, unknown>>;
  // A newer release may know more keys: who reads it looks at the version first.
  if (whole(spec.v) && (spec.v as number) > 1) return { ...(spec as unknown as TransferSpec), id };
  for (const [key, holds] of Object.entries(SHAPE)) {
    const own = Object.hasOwn(spec, key) ? spec[key] : undefined;
    if (!holds(own)) throw refused(id, `"${key}" of what is kept under its id is not what a submission has there`);
  }
  const unknown = Object.keys(spec).find((key) => !Object.hasOwn(SHAPE, key));
  if (unknown !== undefined) throw refused(id, `it has the unknown key "${unknown.slice(0, 50)}"`);
  if (spec.id !== id) throw refused(id, "it was submitted under another id");
  const checked = spec as unknown as TransferSpec;
  try {
    parseQuery(decodeJson(checked.query) as unknown as P2PQuery);
    parseConfig(checked.config);
    if (checked.maxFailures !== undefined) parseConfig({ maxFailures: checked.maxFailures });
  } catch (error) {
    throw refused(id, messageOf(error));
  }
  return checked;
}

export function tooLong(id: string): Error {
  return refused(id, `what is kept under its id is longer than the ${MAX_SPEC_CHARACTERS} characters that are allowed`);
}

/**
 * What a job says, checked.
 *
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function parseJobData(name: string, data: unknown): JobData {
  const { v, transfer, part } = (typeof data === "object" && data !== null ? data : {}) as Readonly<
    Record<string, unknown>
  >;
  if (!whole(v) || !text(transfer) || (transfer as string).length > 150) {
    throw refused(String(transfer).slice(0, 150), "a job of it is not one that this engine makes");
  }
  const job = { v: v as number, transfer: transfer as string, ...(part !== undefined && { part: part as number }) };
  if (job.v > 1) return job;
  if (!["plan", "part", "sum"].includes(name)) throw refused(job.transfer, "a job of it is of an unknown kind");
  if (name === "part" && !(Number.isSafeInteger(part) && (part as number) >= 0)) {
    throw refused(job.transfer, "a job of it names no partition");
  }
  return job;
}

function whole(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1;
}

function text(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}
