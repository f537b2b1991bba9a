import { idKey, type P2PRecord } from "../../model/record.ts";
import type { Fingerprint, Fingerprinter } from "./buckets.ts";
import { comparedText } from "./compared-text.ts";

/**
 * The fingerprint of a record.
 *
 * @param form the record in the form in which it is compared.
 * @param spread the hash of its id, where it is known already.
 */
export function printRecord(prints: Fingerprinter, record: P2PRecord, form: P2PRecord, spread?: string): Fingerprint {
  const key = idKey(record.id);
  return { key, spread: spread ?? prints.spread(key), content: prints.content(key, comparedText(form)) };
}
