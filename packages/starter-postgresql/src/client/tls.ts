/** TLS as libpq's `sslmode` has it: in which order encrypted and plain connections are tried, and whom to trust. */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectionOptions } from "node:tls";
import { P2PError } from "@omni/p2p-core/starter";
import { isSocketFolder, type SslMode, type TlsSettings } from "../endpoint.ts";

/** How a connection is tried: encrypted, or not. */
export type Attempt = "tls" | "plain";

const ATTEMPTS: Readonly<Record<SslMode, readonly Attempt[]>> = {
  disable: ["plain"],
  allow: ["plain", "tls"],
  prefer: ["tls", "plain"],
  require: ["tls"],
  "verify-ca": ["tls"],
  "verify-full": ["tls"],
};

/** The order of attempts; what goes through a Unix socket is never encrypted. */
export function attemptsOf({ mode }: TlsSettings, host: string): readonly Attempt[] {
  return isSocketFolder(host) ? ["plain"] : ATTEMPTS[mode];
}

/**
 * What Node's TLS is to be told.
 *
 * @throws P2PError `INVALID_ENDPOINT` where a file that is named, or that the mode needs, cannot be read.
 */
export async function tlsOptions(settings: TlsSettings, label: string): Promise<ConnectionOptions> {
  const { mode, rootCert, keyPassword } = settings;
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  if (rootCert === "system" && mode !== "verify-full") {
    throw invalid(`sslrootcert=system needs sslmode=verify-full, and this is sslmode=${mode}`);
  }
  const verified = mode === "verify-ca" || mode === "verify-full";
  const ca = rootCert === "system" ? undefined : await fileOf(rootCert, "root.crt", "sslrootcert", invalid);
  if (verified && ca === undefined && rootCert !== "system") {
    throw invalid(
      `sslmode=${mode} needs the authorities to trust: give sslrootcert a file, put it at ${usual("root.crt")}, or take sslrootcert=system with sslmode=verify-full`,
    );
  }
  const cert = await fileOf(settings.cert, "postgresql.crt", "sslcert", invalid);
  const key = cert === undefined ? undefined : await fileOf(settings.key, "postgresql.key", "sslkey", invalid);
  if (cert !== undefined && key === undefined) throw invalid("there is a client's certificate but no key; give sslkey");
  if (key !== undefined) await assertClosed(settings.key ?? usual("postgresql.key"), invalid);
  return {
    // As libpq has it, require verifies too where there is a file of authorities.
    rejectUnauthorized: verified || (mode === "require" && ca !== undefined),
    ...(mode === "verify-full" ? {} : { checkServerIdentity: () => undefined }),
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
    ...(keyPassword !== undefined && { passphrase: keyPassword }),
    minVersion: "TLSv1.2",
  };
}

function usual(name: string): string {
  return join(homedir(), ".postgresql", name);
}

/** A file that is named must be there; one at its usual place may be. */
async function fileOf(
  given: string | undefined,
  name: string,
  option: string,
  invalid: (what: string) => P2PError,
): Promise<Buffer | undefined> {
  try {
    return await readFile(given ?? usual(name));
  } catch (error) {
    if (given === undefined) return undefined;
    throw invalid(`the file of ${option} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

/** A key that others can read is refused, as by libpq; root may share one with a group. */
async function assertClosed(path: string, invalid: (what: string) => P2PError): Promise<void> {
  if (process.platform === "win32") return;
  const { mode, uid } = await stat(path);
  if ((mode & (uid === 0 ? 0o037 : 0o077)) !== 0) {
    throw invalid(`others may read the file of sslkey, ${path}: chmod 600 it`);
  }
}
