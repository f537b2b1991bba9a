import { randomUUID } from "node:crypto";
import { open, readFile, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { P2PError, type VerifyCertificate } from "@omni/p2p-core";
import { messageOf, parseJson } from "@omni/p2p-core/starter";
import { UsageError } from "../usage-error.ts";

/** Bytes of a file that may be a certificate; one has 1.3 MB and the query. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads what a file says of a comparison; the core looks whether it is a certificate.
 *
 * @throws P2PError `CERTIFICATE_INVALID`; UsageError where there is no such file.
 */
export async function readCertificateFile(file: string): Promise<unknown> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) throw invalid(file, "is too large for one");
    text = await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof P2PError) throw error;
    throw new UsageError(`The certificate ${file} cannot be read: ${messageOf(error)}`);
  }
  try {
    return parseJson(text);
  } catch (cause) {
    throw invalid(file, "is torn, or no JSON", cause);
  }
}

function invalid(file: string, why: string, cause?: unknown): P2PError {
  return new P2PError("CERTIFICATE_INVALID", `The certificate cannot be used: ${file} ${why}`, { cause });
}

/**
 * Makes sure, before anything is read, that a certificate may be written there: nothing that is not one is replaced.
 *
 * @throws UsageError
 */
export async function assertCertificatePlace(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  if (!found) {
    const folder = await stat(dirname(file)).catch(() => undefined);
    if (!folder?.isDirectory())
      throw new UsageError(`The folder of the certificate ${file} does not exist; create it first`);
    return;
  }
  const isOurs =
    found.isFile() &&
    (await readCertificateFile(file).then(
      (read) => (read as Partial<VerifyCertificate> | null)?.format === "omni-p2p-certificate",
      () => false,
    ));
  if (!isOurs) throw new UsageError(`${file} is there, and is no certificate; name another file, or remove it`);
}

/** Writes it whole or not at all. */
export async function writeCertificateFile(file: string, certificate: VerifyCertificate): Promise<void> {
  // A link stays one: what it leads to is replaced.
  const place = await realpath(file).catch(() => file);
  const next = join(dirname(place), `.${randomUUID()}.omni-p2p-certificate`);
  try {
    const handle = await open(next, "wx", 0o600);
    try {
      await handle.writeFile(`${JSON.stringify(certificate)}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, place);
  } catch (error) {
    await rm(next, { force: true });
    throw new UsageError(`The certificate ${file} cannot be written: ${messageOf(error)}`);
  }
}
