import { hash } from "node:crypto";
import { canonicalText } from "./canonical.ts";
import type { P2PRecord } from "./record.ts";

/**
 * The digest of a record: SHA-256 of its canonical text, in base64url. Equal records have equal digests, in every process;
 * those of two records that differ are different.
 */
export function recordDigest(record: P2PRecord): string {
  return hash("sha256", canonicalText(record), "base64url");
}
