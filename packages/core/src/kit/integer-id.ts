/** Integer ids: what a column of 64-bit integers holds for the id of a record. */
import { createHash } from "node:crypto";

/** Integers up to this one stand for ids that are none. Nobody counts that far down. */
export const LAST_HASHED_ID = -(2n ** 62n);

/**
 * The integer that the canonical text of an id spells; for a text that spells none ("abc", "1.5", "007"), and for integers that 64 bits
 * cannot hold, a large negative one made of a hash of the text.
 *
 * @param text as `idKey` gives it.
 */
export function integerOfIdText(text: string): bigint {
  const integer = canonicalInteger(text);
  return integer !== undefined && integer > LAST_HASHED_ID ? integer : hashedInteger(text);
}

/** The integer that a text spells in the one way in which it is usually spelled, if 64 bits can hold it. */
function canonicalInteger(text: string): bigint | undefined {
  if (!/^(0|-?[1-9]\d{0,18})$/.test(text)) return undefined;
  const integer = BigInt(text);
  return integer >= -(2n ** 63n) && integer < 2n ** 63n ? integer : undefined;
}

function hashedInteger(text: string): bigint {
  const hash = createHash("sha256").update(text, "utf8").digest().readBigUInt64BE();
  return -(2n ** 63n) + (hash & (2n ** 62n - 1n));
}
