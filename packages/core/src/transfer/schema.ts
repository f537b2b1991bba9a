/** Validation of records by a Standard Schema. */
import { messageOf, P2PError } from "../errors.ts";
import type { MutableRecord } from "../model/record.ts";
import type { StandardSchemaIssue, StandardSchemaResult, StandardSchemaV1 } from "./standard-schema.ts";
import { describeId, isThenable, type Transform, type TransformResult } from "./transform.ts";

/** Issues that a message has, at most. */
const MAX_ISSUES = 5;

/** Longest issue in a message, in characters. */
const MAX_ISSUE = 300;

/** Whether a thing is a schema that can be asked. Some libraries have functions for schemas. */
export function isSchema(value: unknown): value is StandardSchemaV1 {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return false;
  const standard = (value as Partial<StandardSchemaV1>)["~standard"];
  return typeof standard === "object" && standard !== null && typeof standard.validate === "function";
}

/**
 * Validation as a step before the transform, which gets what the schema makes of a record: its defaults, its conversions. A
 * record that the schema refuses is a failure with the code `VALIDATION_FAILED`.
 */
export function throughSchema(schema: StandardSchemaV1, transform: Transform | undefined): Transform {
  const standard = schema["~standard"];
  const accepted = (record: MutableRecord, result: StandardSchemaResult<unknown>) => {
    if (result.issues) throw refused(record, standard.vendor, result.issues);
    return result.value as MutableRecord;
  };
  const failed = (record: MutableRecord, thrown: unknown) =>
    new P2PError("VALIDATION_FAILED", `The schema failed on record ${describeId(record)}: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  return (record, context) => {
    const go = (result: StandardSchemaResult<unknown>): TransformResult | Promise<TransformResult> => {
      const valid = accepted(record, result);
      return transform ? transform(valid, context) : valid;
    };
    let result: ReturnType<typeof standard.validate>;
    try {
      result = standard.validate(record);
    } catch (thrown) {
      throw failed(record, thrown);
    }
    if (!isThenable(result)) return go(result);
    return Promise.resolve(result).then(go, (thrown) => {
      throw failed(record, thrown);
    });
  };
}

function refused(record: MutableRecord, vendor: string, issues: readonly StandardSchemaIssue[]): P2PError {
  const shown = issues.slice(0, MAX_ISSUES).map(({ message, path }) => {
    const place = pathText(path);
    const text = place === "" ? message : `${place}: ${message}`;
    return text.length > MAX_ISSUE ? `${text.slice(0, MAX_ISSUE - 3)}...` : text;
  });
  const more = issues.length > MAX_ISSUES ? `; and ${issues.length - MAX_ISSUES} more` : "";
  const all = shown.length > 0 ? `${shown.join("; ")}${more}` : "it gives no reason";
  return new P2PError(
    "VALIDATION_FAILED",
    `Record ${describeId(record)} does not meet the schema (${vendor}): ${all}`.toWellFormed(),
  );
}

/** A path as it is written in code: `tags[2].name`. */
function pathText(path: StandardSchemaIssue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text;
}
