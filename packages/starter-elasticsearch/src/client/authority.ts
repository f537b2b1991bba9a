import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { onAbort, P2PError } from "@omni/p2p-core/starter";

/**
 * The certificate of the authority with this SHA-256 fingerprint, in PEM, as one of the nodes shows it; `undefined` when no
 * node answers. Nothing is sent to a node that is not known yet: the certificate is only looked at, and the client then
 * verifies with it, as with one from a file. To skip the verification and compare fingerprints, as the client does when it is
 * told to, would let in whoever shows the authority's certificate, which is no secret, beside one of their own.
 *
 * @throws P2PError `CONNECTION_FAILED` when a node shows none with the fingerprint.
 */
export async function authorityOf(
  nodes: readonly string[],
  fingerprint: string,
  label: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  let answered = false;
  for (const node of nodes) {
    const leaf = await certificateOf(new URL(node), signal).catch(() => undefined);
    signal.throwIfAborted();
    if (leaf === undefined) continue;
    answered = true;
    for (const certificate of chainOf(leaf)) {
      if (bare(certificate.fingerprint256) === bare(fingerprint)) return pemOf(certificate.raw);
    }
  }
  if (!answered) return undefined;
  const what = `The certificate of ${label} was not accepted: no authority in it has the fingerprint of caFingerprint`;
  throw new P2PError(
    "CONNECTION_FAILED",
    `${what}; compare it with the one that the server printed at its first start`,
  );
}

function certificateOf({ hostname, port }: URL, signal: AbortSignal): Promise<DetailedPeerCertificate> {
  const host = hostname.replace(/^\[|\]$/g, "");
  const name = isIP(host) ? {} : { servername: host };
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port || 443), ...name, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate(true));
      socket.destroy();
    });
    socket.on("error", reject);
    const forget = onAbort(signal, () => void socket.destroy(new Error("given up")));
    socket.on("close", () => {
      forget();
      reject(new Error("closed"));
    });
  });
}

function* chainOf(leaf: DetailedPeerCertificate): Generator<DetailedPeerCertificate> {
  const seen = new Set<DetailedPeerCertificate>();
  for (let one: DetailedPeerCertificate | undefined = leaf; one?.raw !== undefined; one = one.issuerCertificate) {
    if (seen.has(one)) return;
    seen.add(one);
    yield one;
  }
}

function bare(fingerprint: string): string {
  return fingerprint.replaceAll(":", "").toUpperCase();
}

function pemOf(raw: Buffer): string {
  const lines = raw.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
