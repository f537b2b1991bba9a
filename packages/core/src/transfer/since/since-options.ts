/** Incremental transfers: the options of a watermark, the highest value of a field that an earlier run has dealt with. */
import { P2PError } from "../../errors.ts";

/** Read only what is new, by a field that grows with each change of a record. */
export interface SinceOptions {
  /** The field: a number that grows, a date, or a text of a time in one form, in UTC. */
  readonly field: string;
  /**
   * How far before the watermark a run begins, since records become visible out of order: ms for times, else units of the number.
   *
   * @default 60000 for times, 0 for numbers
   */
  readonly overlap?: number | undefined;
  /**
   * What becomes of records without a value there, which only the first run reads: `"note"` says how many there are, `"fail"` refuses
   * with `INVALID_QUERY`. Default `"note"`.
   */
  readonly nulls?: "note" | "fail" | undefined;
}

/** @throws P2PError `INVALID_CONFIG`, naming the option. */
export function checkSince(since: SinceOptions | undefined): void {
  if (since === undefined) return;
  const { field, overlap, nulls, ...others } = (since ?? {}) as Partial<SinceOptions>;
  const [stray] = Object.keys(others);
  if (stray !== undefined) throw invalid(`"since" has no option "${stray}"; it has field, overlap and nulls`);
  if (typeof field !== "string" || field === "") throw invalid('"since" must name a field: { field: "updated_at" }');
  if (overlap !== undefined && !(Number.isFinite(overlap) && overlap >= 0)) {
    throw invalid('"overlap" of "since" must be a number from 0 up: ms for times');
  }
  if (nulls !== undefined && nulls !== "note" && nulls !== "fail") {
    throw invalid('"nulls" of "since" must be "note" or "fail"');
  }
}

function invalid(what: string): P2PError {
  return new P2PError("INVALID_CONFIG", `Invalid configuration: ${what}`);
}
