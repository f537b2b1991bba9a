import { type AgainstResult, type P2PQuery, type Transform, type VerifyOptions, verifyAgainst } from "@omni/p2p-core";
import { openContext, withStore } from "../endpoints/open.ts";
import type { ResolvedEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import { formatCount, formatDuration, records } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import type { Reporter } from "../output/reporter.ts";
import type { Session } from "../session/session.ts";
import { readCertificateFile } from "./certificate-file.ts";

/** Ids shown unless the user says otherwise. */
const SHOWN_IDS = 20;

/** What is held against which certificate. */
interface Holding {
  readonly endpoint: ResolvedEndpoint;
  readonly file: string;
  /** The query, where one was typed. */
  readonly query: P2PQuery | undefined;
  readonly transform: Transform | undefined;
  readonly conversion: Pick<VerifyOptions, "as" | "recognise" | "misfits">;
  readonly batchSize: number | undefined;
  readonly maxDifferences: number | undefined;
  readonly connectionTimeout: number | undefined;
}

/** Holds one store against a certificate and tells what differs. */
export async function runAgainst(holding: Holding, session: Session, reporter: Reporter): Promise<ExitCode> {
  const { endpoint, file, query, transform, batchSize, maxDifferences = SHOWN_IDS, connectionTimeout } = holding;
  const certificate = await readCertificateFile(file);
  const result = await withStore(endpoint, openContext("source", session, connectionTimeout), (service) =>
    verifyAgainst({ service, endpoint: endpoint.endpoint }, certificate, {
      ...holding.conversion,
      ...{ query, transform, batchSize, maxDifferences, signal: session.signal },
      onProgress: (count, total) => reporter.verifying(count, total),
    }),
  );
  reporter.stop();
  tell(holding, result, session.out);
  if (result.unreadable > 0) return ExitCode.PARTIAL;
  return result.equal ? ExitCode.OK : ExitCode.DIFFERENT;
}

function tell({ endpoint, file }: Holding, result: AgainstResult, out: Output): void {
  out.event({ event: "verify-against", endpoint: endpoint.shown, certificate: file, ...result });
  const { equal, buckets, ids, suspects, unreadable, expected, durationMs } = result;
  const time = formatDuration(durationMs);
  for (const note of result.notes) out.note(printable(note));
  if (equal) {
    out.line(`Verified: it holds the same ${records(result.records)} as in the certificate (${time})`);
    return;
  }
  const unread = unreadable > 0 ? `, ${formatCount(unreadable)} could not be read` : "";
  out.line(
    `Not the same: ${formatCount(buckets)} of 16,384 buckets differ${unread}; it holds ${formatCount(result.records)}, and held ` +
      `${formatCount(expected)} (${time})`,
  );
  for (const id of ids) out.line(`  differs or new  ${printable(id)}`);
  if (suspects > ids.length) out.line(`  and ${formatCount(suspects - ids.length)} more`);
  if (result.gone > 0) {
    out.line(
      `  gone            ${formatCount(result.gone)} or more, which cannot be named: a certificate holds no ids; verify with the other side shows them`,
    );
  }
}
