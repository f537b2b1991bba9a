/** Signatures of submissions (HMAC). */
import { createHmac, timingSafeEqual } from "node:crypto";
import { invalid, refused } from "../errors.ts";

/** Fewest characters of a key: what is shorter can be guessed. */
const LEAST_KEY = 32;

/** @throws P2PError `INVALID_CONFIG` */
export function checkSigningKey(key: unknown, name: string): string {
  if (typeof key === "string" && key.length >= LEAST_KEY) return key;
  throw invalid(`"${name}" must hold ${LEAST_KEY} characters or more; make one with: openssl rand -hex 32`);
}

/**
 * Signs a submission: HMAC-SHA-256 of its text, byte for byte as it is kept, so that no second way of writing the same
 * JSON can come between. The prefix is in it, so that it serves in one place alone; the id and the time until which it
 * holds are in the text.
 */
export function signatureOf(text: string, prefix: string, key: string): string {
  return digest(text, prefix, key).toString("base64url");
}

function digest(text: string, prefix: string, key: string): Buffer {
  return createHmac("sha256", key).update(`omni-p2p submission 1\n${prefix.length}:${prefix}\n`).update(text).digest();
}

/**
 * Makes sure that a submission was signed with one of the keys.
 *
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function assertSigned(
  id: string,
  text: string,
  signature: string | undefined,
  prefix: string,
  keys: readonly string[],
): void {
  if (signature === undefined || signature === "") {
    throw refused(id, 'it is not signed, and this worker takes signed ones alone; submit it with "signingKey"');
  }
  const given = Buffer.from(signature, "base64url");
  let right = false;
  // All keys are tried, and each in constant time: how long it takes tells nothing.
  for (const key of keys) {
    const wanted = digest(text, prefix, key);
    if (given.length === wanted.length && timingSafeEqual(given, wanted)) right = true;
  }
  if (!right) {
    throw refused(
      id,
      "its signature is not one of this worker's keys, or it was changed since; give both sides the same key",
    );
  }
}

/**
 * Makes sure that a signed submission still holds. An old one that somebody enters anew is refused by this.
 *
 * @throws P2PError `SUBMISSION_REFUSED`
 */
export function assertInTime(id: string, expiresAt: string | undefined, now = Date.now()): void {
  const until = Date.parse(expiresAt ?? "");
  if (now < until) return;
  throw refused(
    id,
    Number.isNaN(until)
      ? "it does not say until when its signature holds; submit it with this release"
      : `its signature held until ${expiresAt}; resume it from a process that has the key, and see whether the clocks agree`,
  );
}
