/** Redaction: takes secrets out of endpoints, texts and errors. */
import { isP2PError } from "../errors.ts";
import { editDistance } from "../suggest.ts";
import type { EndpointInfo } from "./endpoint.ts";
import { OFFICIAL_TYPES } from "./registry.ts";

/** What stands where a secret stood. */
export const REDACTED = "[redacted]";

const SECRET_NAME =
  /^(?:.*(?:password|passwd|passphrase|secret|credential|authorization).*|pass|pwd|auth|.*token|bearer|(?:api|access|private)[_-]?key.*|.*user_?name|user|userinfo|key_?file|pfx|.*mechanism_?properties)$/i;

/** Whether an option of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || isNearSecret(name.toLowerCase());
}

const SECRET_WORDS = ["password", "passphrase", "username", "token", "secret", "apikey", "credentials"];

/** A mistyped option is refused by its name, but it is in the events by then. */
function isNearSecret(name: string): boolean {
  if (name.length > 40) return false;
  return SECRET_WORDS.some((word) => {
    const most = word.length > 6 ? 2 : 1;
    return Math.abs(word.length - name.length) <= most && editDistance(name, word) <= most;
  });
}

/** Up to the last `@`, since passwords hold some; a bounded scheme keeps it linear in texts of any length. */
const USERINFO = /([a-z][a-z0-9.+-]{0,40}:\/\/)([^\s/]*)@/gi;

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

/** How deep metadata is looked into; what lies deeper is hidden as a whole. */
const MAX_METADATA_DEPTH = 8;

/** The endpoint as the world may see it: every secret in its metadata replaced. */
export function redactEndpoint(endpoint: EndpointInfo): EndpointInfo {
  const { metadata, endpointId } = endpoint;
  const shown = { ...endpoint, endpointId: hideUserinfo(endpointId) };
  return metadata === undefined ? shown : { ...shown, metadata: redactObject(metadata, 0) };
}

function hideUserinfo(text: string): string {
  return text.replace(USERINFO, `$1${REDACTED}@`);
}

function redactObject(value: Readonly<Record<string, unknown>>, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isSecretName(key) && inner !== undefined ? REDACTED : redactValue(inner, depth + 1),
    ]),
  );
}

function redactValue(value: unknown, depth: number): unknown {
  if (typeof value === "string") return PRIVATE_KEY.test(value) ? REDACTED : hideUserinfo(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof URL) return hideUserinfo(value.href);
  if (depth > MAX_METADATA_DEPTH || value instanceof Uint8Array) return REDACTED;
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null)
    return redactObject(value as Record<string, unknown>, depth);
  // A client or an agent given as an option knows its credentials, and nobody knows where it keeps them.
  return `[${value.constructor?.name ?? "object"}]`;
}

/**
 * The secrets of endpoints, in the spellings in which they may turn up in a message. The name of a user is none where it is that of the
 * database too, as with PostgreSQL's `postgres`: it is shown as such, and an endpoint without it could not be told.
 */
export function secretsOf(...endpoints: readonly EndpointInfo[]): readonly string[] {
  const found = new Set<string>();
  for (const { metadata, endpointId, database } of endpoints) {
    const { username, ...rest } = metadata ?? {};
    const told = username !== undefined && username === database;
    collect([endpointId, told ? rest : metadata], false, found, 0);
    if (told && typeof rest.password === "string") addBasic(database, rest.password, found);
  }
  return [...found].sort((a, b) => b.length - a.length);
}

function collect(value: unknown, secret: boolean, found: Set<string>, depth: number): void {
  if (value instanceof URL) collect(value.href, secret, found, depth);
  else if (typeof value === "string") {
    if (secret || PRIVATE_KEY.test(value)) addSpellings(value, found);
    for (const [, , userinfo] of value.matchAll(USERINFO)) addUserinfo(userinfo!, found);
  } else if (value instanceof Uint8Array) {
    if (secret) addSpellings(Buffer.from(value).toString(), found);
  } else if (typeof value === "object" && value !== null && depth <= MAX_METADATA_DEPTH) {
    const entries = Object.entries(value);
    for (const [key, inner] of entries) collect(inner, secret || isSecretName(key), found, depth + 1);
    const { username, password } = value as { username?: unknown; password?: unknown };
    if (typeof username === "string" && typeof password === "string") addBasic(username, password, found);
  }
}

/** User and password of a URL, as they stand there and as a client decodes them. */
function addUserinfo(userinfo: string, found: Set<string>): void {
  const colon = userinfo.indexOf(":");
  const parts = colon < 0 ? [userinfo] : [userinfo.slice(0, colon), userinfo.slice(colon + 1)];
  for (const part of parts) {
    addSpellings(part, found);
    addSpellings(decoded(part), found);
  }
  if (parts.length === 2) addBasic(decoded(parts[0]!), decoded(parts[1]!), found);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function addSpellings(secret: string, found: Set<string>): void {
  if (secret === "") return;
  found.add(secret);
  if (secret.isWellFormed()) found.add(encodeURIComponent(secret));
  found.add(new URLSearchParams([["", secret]]).toString().slice(1));
  found.add(base64(secret));
  found.add(JSON.stringify(secret).slice(1, -1));
}

/** The two as HTTP's basic authentication sends them. */
function addBasic(username: string, password: string, found: Set<string>): void {
  found.add(base64(`${username}:${password}`));
}

/** Without padding, which not every client writes. */
function base64(text: string): string {
  return Buffer.from(text).toString("base64").replace(/=+$/, "");
}

/** The text without any of the secrets and without userinfo in URLs. */
export function redactText(text: string, secrets: readonly string[]): string {
  let clean = hideUserinfo(text);
  for (const secret of secrets) {
    // Blind replacement of a very short secret ("a", "1") would destroy the message and so give the secret away.
    if (secret.length >= 4) clean = replaceSecret(clean, secret);
  }
  return clean;
}

/** Leaves a storage type whole of which the secret is a part: the user "elastic" must not spoil "elasticsearch://…". */
function replaceSecret(text: string, secret: string): string {
  const types = OFFICIAL_TYPES.filter((type) => type.includes(secret));
  if (types.length === 0) return text.replaceAll(secret, REDACTED);
  return text.replace(new RegExp(`${types.join("|")}|${secret}`, "g"), (found) =>
    types.includes(found) ? found : REDACTED,
  );
}

/**
 * The error as the world may see it: its message, stack and causes without secrets. Clients hang requests, headers
 * and options on their errors, so a foreign cause is rebuilt from its name, message, code and stack alone.
 */
export function redactError(error: unknown, secrets: readonly string[]): unknown {
  return redactDeep(error, secrets, 0);
}

function redactDeep(error: unknown, secrets: readonly string[], depth: number): unknown {
  if (!(error instanceof Error)) return typeof error === "string" ? redactText(error, secrets) : undefined;
  if (depth > 8) return undefined;
  const cause = error.cause === undefined ? undefined : redactDeep(error.cause, secrets, depth + 1);
  const message = redactText(error.message, secrets);
  if (isP2PError(error)) {
    Object.defineProperty(error, "message", { value: message, configurable: true, writable: true });
    // Also when nothing is left of it: an object that is no error may hold anything.
    if (error.cause !== undefined)
      Object.defineProperty(error, "cause", { value: cause, configurable: true, writable: true });
    scrubStack(error, error.stack, secrets);
    return error;
  }
  const copy = new Error(message, cause === undefined ? undefined : { cause });
  copy.name = error.name;
  const code = (error as { code?: unknown }).code;
  if (typeof code === "string" || typeof code === "number") Object.assign(copy, { code });
  scrubStack(copy, error.stack, secrets);
  return copy;
}

function scrubStack(error: Error, stack: string | undefined, secrets: readonly string[]): void {
  const value = stack === undefined ? undefined : redactText(stack, secrets);
  Object.defineProperty(error, "stack", { value, configurable: true, writable: true });
}
