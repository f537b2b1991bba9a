import { unlessAborted } from "../async/abort.ts";
import { unlessLate } from "../async/deadline.ts";
import { isP2PError, P2PError } from "../errors.ts";
import { idKey, type MutableRecord, type P2PId, type P2PRecord, recordTrouble, type WithId } from "../model/record.ts";
import { getField, ownForm, type P2PValue } from "../model/value-tree.ts";
import type { RecordBatch } from "../storage/service.ts";

/** What a transform may return: a record, several, or none (`null` or `undefined` drops the record). */
export type TransformResult<Out extends WithId = P2PRecord | WithId> = Out | readonly Out[] | null | undefined;

/**
 * Makes of one record of the source what goes to the target. It may change the record it is given and return it. What
 * it throws makes this record a failure with the code `TRANSFORM_FAILED`, and the transfer goes on.
 *
 * `In` is what you say the records of the source are (only a `schema` makes sure of it), `Out` what you mean to return;
 * both may be interfaces.
 *
 * @example
 * ```ts
 * const transform: Transform = ({ id, title, ...rest }) => ({ id, headline: title, metadata: rest });
 * ```
 */
export type Transform<In extends object = MutableRecord, Out extends WithId = P2PRecord | WithId> = (
  record: In,
  context: { readonly signal: AbortSignal },
) => TransformResult<Out> | Promise<TransformResult<Out>>;

/** A record that did not get through the transform. */
export interface TransformFailure {
  /** Its place in the batch that was read. */
  readonly index: number;
  readonly record: P2PRecord;
  readonly error: P2PError;
}

/** A batch after the transform. */
export interface TransformedBatch {
  readonly records: P2PRecord[];
  /** For each of `records`, the place in the batch it came from; `undefined` when the two are the same. */
  readonly origins: readonly number[] | undefined;
  readonly dropped: number;
  readonly failures: readonly TransformFailure[];
}

/** Calls of an asynchronous transform under way at a time. */
const ASYNC_TRANSFORMS = 16;

/** Checks a batch that needs no transform: what is not a valid record is a failure. */
function checkBatch({ records, valid }: Pick<RecordBatch, "records" | "valid">): TransformedBatch {
  const failures: TransformFailure[] = [];
  if (valid) return { records, origins: undefined, dropped: 0, failures };
  for (const [index, record] of records.entries()) {
    const trouble = recordTrouble(record);
    if (trouble === undefined) records[index] = ownForm(record);
    else failures.push({ index, record, error: invalidRecord(record, trouble) });
  }
  if (failures.length === 0) return { records, origins: undefined, dropped: 0, failures };
  const bad = new Set(failures.map(({ index }) => index));
  const origins = [...records.keys()].filter((index) => !bad.has(index));
  return { records: origins.map((index) => records[index]!), origins, dropped: 0, failures };
}

/** How the calls of a transform are held to time, and called in messages. */
export interface TransformTerms {
  /** How long a call may take, in ms; 0 is without a limit. */
  readonly timeoutMs: number;
  /** The option that says so. */
  readonly limitedBy: "hookTimeout" | "transformTimeout";
  /** What gives the records that go on. */
  readonly maker: "transform" | "schema" | "conversion";
}

/** The terms of a transform that may take as long as it likes. */
const NO_TERMS: TransformTerms = { timeoutMs: 0, limitedBy: "hookTimeout", maker: "transform" };

/**
 * Where the asynchronous calls of a transform run side by side: so many at a time, whatever batch their records are of,
 * and begun in the order of the records. When one ends the next begins, so that a slow one keeps a single place.
 */
export class TransformWindow {
  readonly terms: TransformTerms;
  #running = 0;
  #left = Promise.withResolvers<void>();
  #begun: Promise<unknown> = Promise.resolve();

  constructor(terms: TransformTerms) {
    this.terms = terms;
  }

  /** Begins the calls of a batch when those of the batches before it have begun. */
  async inTurn(begin: () => Promise<void>): Promise<void> {
    const mine = this.#begun.then(begin);
    this.#begun = mine.catch(() => {});
    await mine;
  }

  get full(): boolean {
    return this.#running >= ASYNC_TRANSFORMS;
  }

  /** Waits for a place. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.full) await unlessAborted(this.#left.promise, signal);
  }

  /** Takes a place for a call until it has ended, or has taken too long. */
  async hold<T>(call: Promise<T>): Promise<T> {
    this.#running++;
    const { timeoutMs, limitedBy } = this.terms;
    try {
      if (timeoutMs === 0) return await call;
      const late = () => new Error(`it did not settle within the ${limitedBy} of ${timeoutMs} ms`);
      return await unlessLate(call, timeoutMs, late);
    } finally {
      this.#running--;
      this.#left.resolve();
      this.#left = Promise.withResolvers();
    }
  }
}

/** What of a batch goes on: what the transform makes of its records, or those that are valid where there is none. */
export function siftBatch(
  batch: Pick<RecordBatch, "records" | "valid">,
  transform: Transform | undefined,
  signal: AbortSignal,
  window: TransformWindow | undefined,
): TransformedBatch | Promise<TransformedBatch> {
  return transform ? transformBatch(batch.records, transform, signal, window) : checkBatch(batch);
}

/** Puts a batch through a transform, in order. */
async function transformBatch(
  input: P2PRecord[],
  transform: Transform,
  signal: AbortSignal,
  window: TransformWindow = new TransformWindow(NO_TERMS),
): Promise<TransformedBatch> {
  const context = { signal };
  const outputs = new Array<TransformResult | P2PError>(input.length);
  const pending: Promise<void>[] = [];
  const call = (record: P2PRecord, index: number) => {
    try {
      const output = transform(record as MutableRecord, context);
      if (!isThenable(output)) {
        outputs[index] = output;
        return;
      }
      pending.push(
        window.hold(Promise.resolve(output)).then(
          (value) => {
            outputs[index] = value;
          },
          (thrown) => {
            outputs[index] = transformFailed(record, thrown);
          },
        ),
      );
    } catch (thrown) {
      outputs[index] = transformFailed(record, thrown);
    }
  };
  await window.inTurn(async () => {
    for (const [index, record] of input.entries()) {
      if (window.full) await window.room(signal);
      call(record, index);
    }
  });
  if (pending.length > 0) await unlessAborted(Promise.all(pending), signal);
  return collect(input, outputs, window.terms.maker);
}

/** Promises of other libraries count, too; no valid record has a function in a field. */
export function isThenable<T>(output: T | Promise<T>): output is Promise<T> {
  return typeof (output as { then?: unknown } | null | undefined)?.then === "function";
}

const MADE_BY: Readonly<Record<TransformTerms["maker"], string>> = {
  transform: "the transform returned this",
  schema: "the schema made this of it",
  conversion: "the conversion of types made this of it",
};

function collect(
  input: readonly P2PRecord[],
  outputs: readonly (TransformResult | P2PError)[],
  maker: TransformTerms["maker"],
): TransformedBatch {
  const records: P2PRecord[] = [];
  const origins: number[] = [];
  const failures: TransformFailure[] = [];
  let dropped = 0;
  for (const [index, output] of outputs.entries()) {
    if (output instanceof P2PError) {
      failures.push({ index, record: input[index]!, error: output });
      continue;
    }
    const results = Array.isArray(output)
      ? (output as readonly P2PRecord[])
      : output == null
        ? []
        : [output as P2PRecord];
    if (results.length === 0) dropped++;
    for (const record of results) {
      const trouble = recordTrouble(record);
      if (trouble === undefined) {
        records.push(ownForm(record));
        origins.push(index);
      } else {
        failures.push({
          index,
          record: input[index]!,
          error: invalidRecord(input[index]!, `${MADE_BY[maker]}: ${trouble}`),
        });
      }
    }
  }
  return { records, origins, dropped, failures };
}

/** The id of a thing that may not be a proper record, as text; empty when it has none. */
export function idText(record: unknown): string {
  const id: P2PValue | undefined = typeof record === "object" && record !== null ? getField(record, "id") : undefined;
  if (id === undefined || id === null || Array.isArray(id)) return "";
  try {
    return idKey(id as P2PId);
  } catch {
    return "";
  }
}

/** A record in a message: by its id. */
export function describeId(record: unknown): string {
  const text = idText(record);
  if (text === "") return "without an id";
  return `"${text.length > 80 ? `${text.slice(0, 77)}...` : text}"`;
}

const SPEAKING_FOR_THEMSELVES = new Set(["POISON_RECORD", "VALIDATION_FAILED", "CONVERSION_FAILED"]);

function transformFailed(record: P2PRecord, thrown: unknown): P2PError {
  // It was set aside before any transform saw it, or the schema or the conversion says itself what is the matter.
  if (isP2PError(thrown) && SPEAKING_FOR_THEMSELVES.has(thrown.code)) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new P2PError("TRANSFORM_FAILED", `The transform failed on record ${describeId(record)}: ${reason}`, {
    cause: thrown,
  });
}

function invalidRecord(record: P2PRecord, trouble: string): P2PError {
  return new P2PError("INVALID_RECORD", `Record ${describeId(record)} is invalid: ${trouble}`);
}
