/** Network errors, classified by the codes of Node. */

/** What hinders a connection, as far as Node's own codes tell. */
export type NetworkTrouble =
  /** Its certificate is signed by nobody who is trusted. */
  | "untrusted-certificate"
  /** Its certificate is that of another host. */
  | "certificate-of-another-host"
  /** The other side does not speak TLS, or not this one. */
  | "no-tls"
  /** There is no host of this name. */
  | "no-host"
  /** Nothing listens there. */
  | "refused"
  /** No answer in time. */
  | "timeout"
  /** There is no way to the host. */
  | "unreachable"
  /** A connection that was there is gone, or the name cannot be looked up for now. */
  | "lost";

const TROUBLES: readonly (readonly [RegExp, NetworkTrouble])[] = [
  [/^(?:ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/, "certificate-of-another-host"],
  [/^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|ERR_TLS_CERT_)/, "untrusted-certificate"],
  [/^(?:EPROTO|ERR_SSL_|ERR_OSSL|ERR_TLS_)/, "no-tls"],
  [/^(?:ENOTFOUND|EAI_NODATA|EAI_NONAME)$/, "no-host"],
  [/^ECONNREFUSED$/, "refused"],
  [/^(?:ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/, "timeout"],
  [/^(?:EHOST|ENET)(?:UNREACH|DOWN)$/, "unreachable"],
  [/^(?:EAI_AGAIN|ECONN\w+|EPIPE|ENETRESET|ERR_(?:STREAM|SOCKET)_\w+)$/, "lost"],
];

/** Causes that are looked into; a circle of them has no end. */
const MOST_CAUSES = 5;

/** What hinders a connection, by the codes of an error and of its causes: drivers wrap what the socket said. */
export function networkTrouble(error: unknown): NetworkTrouble | undefined {
  let at = error as { readonly code?: unknown; readonly cause?: unknown } | null | undefined;
  for (let depth = 0; at && typeof at === "object" && depth < MOST_CAUSES; depth++) {
    const { code } = at;
    const found = typeof code === "string" ? TROUBLES.find(([pattern]) => pattern.test(code)) : undefined;
    if (found) return found[1];
    at = at.cause as typeof at;
  }
  return undefined;
}
