import { isP2PError, type P2PError } from "../errors.ts";
import type { EndpointInfo } from "./endpoint.ts";

/** What stands where a secret stood. */
export const REDACTED = "[redacted]";

const SECRET_NAME =
  /^(?:.*(?:password|passwd|passphrase|secret|credential|authorization)|pass|pwd|auth|token|.*[_-]token|.*Token|bearer|api_?key|apiKey|username|user|userinfo|private_?key|key_?file|pfx)$/i;

/** Whether an option of this name holds a secret. */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

const USERINFO = /([a-z][a-z0-9.+-]*:\/\/)[^\s/@]*@/gi;

/** The endpoint as the world may see it: every secret in its metadata replaced. */
export function redactEndpoint(endpoint: EndpointInfo): EndpointInfo {
  if (endpoint.metadata === undefined) return endpoint;
  return { ...endpoint, metadata: redactObject(endpoint.metadata) };
}

function redactObject(value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      isSecretName(key) && inner !== undefined ? REDACTED : redactValue(inner),
    ]),
  );
}

function redactValue(value: unknown): unknown {
  if (typeof value === "string") return value.replace(USERINFO, `$1${REDACTED}@`);
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return redactObject(value as Record<string, unknown>);
  }
  return value;
}

/** The secrets of endpoints, in the spellings in which they may turn up in a message. */
export function secretsOf(...endpoints: readonly EndpointInfo[]): readonly string[] {
  const found = new Set<string>();
  for (const endpoint of endpoints) collect(endpoint.metadata, false, found);
  return [...found].sort((a, b) => b.length - a.length);
}

function collect(value: unknown, secret: boolean, found: Set<string>): void {
  if (typeof value === "string") {
    if (secret && value.length > 0) addSpellings(value, found);
    for (const [, userinfo] of value.matchAll(/[a-z][a-z0-9.+-]*:\/\/([^\s/@]*)@/gi)) {
      for (const part of userinfo!.split(":")) if (part) addSpellings(part, found);
    }
  } else if (typeof value === "object" && value !== null && !(value instanceof Uint8Array)) {
    for (const [key, inner] of Object.entries(value)) collect(inner, secret || isSecretName(key), found);
  }
}

function addSpellings(secret: string, found: Set<string>): void {
  found.add(secret);
  found.add(encodeURIComponent(secret));
  found.add(Buffer.from(secret).toString("base64"));
  found.add(JSON.stringify(secret).slice(1, -1));
}

/** The text without any of the secrets and without userinfo in URLs. */
export function redactText(text: string, secrets: readonly string[]): string {
  let clean = text.replace(USERINFO, `$1${REDACTED}@`);
  for (const secret of secrets) {
    // Blind replacement of a very short secret ("a", "1") would destroy the message and so give the secret away.
    if (secret.length >= 4) clean = clean.replaceAll(secret, REDACTED);
  }
  return clean;
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
    if (cause !== undefined)
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

/** {@link redactError} for what must be a {@link P2PError}. */
export function redactP2PError(error: P2PError, secrets: readonly string[]): P2PError {
  return redactError(error, secrets) as P2PError;
}
