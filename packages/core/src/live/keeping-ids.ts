/** Transforms of what is live: records are found again by their ids, so these must stay. */
import { P2PError } from "../errors.ts";
import { idKey, type MutableRecord, type P2PRecord } from "../model/record.ts";
import { isThenable, type Transform, type TransformResult } from "../transfer/transform.ts";

/**
 * A transform under which each record stays the one of its id; what does otherwise ends the run.
 *
 * @param finder what finds records by their ids, in words.
 * @param instead what may be done with other ids, in words.
 */
export function keepingIds(
  transform: Transform,
  refuse: (error: P2PError) => void,
  finder = "a mirror",
  instead = "use transfer",
): Transform {
  return (record, context) => {
    const id = idKey(record.id);
    const check = (output: TransformResult): TransformResult => {
      const made = Array.isArray(output)
        ? (output as readonly P2PRecord[])
        : output == null
          ? []
          : [output as P2PRecord];
      const other = made.find((one) => one?.id == null || idKey((one as unknown as MutableRecord).id) !== id);
      if (made.length <= 1 && other === undefined) return output;
      const what = made.length > 1 ? `${made.length} records` : "one with another id";
      const error = new P2PError(
        "INVALID_CONFIG",
        `Invalid configuration: the transform made ${what} of the record "${id.slice(0, 80)}", and ${finder} finds records by their ids; keep the id, and ` +
          `make one record of one, or ${instead}`,
      );
      refuse(error);
      throw error;
    };
    const output = transform(record, context);
    return isThenable(output) ? output.then(check) : check(output);
  };
}
