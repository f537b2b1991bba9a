import type { DistributedTransfer, TransferStatus } from "@omni/p2p-engine-bullmq";
import { loadEngine } from "../engine/load-engine.ts";
import { redisUrl, signing } from "../engine/redis-url.ts";
import { watchTransfer } from "../engine/watch.ts";
import { ExitCode } from "../exit-code.ts";
import type { TransfersAction, TransfersFlags } from "../flags/transfers.ts";
import { formatCount } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { formatTable } from "../output/table.ts";
import type { Session } from "../session/session.ts";
import { UsageError } from "../usage-error.ts";

/** What can be done with one transfer, and what is said then. */
const STEPS = { pause: "paused", resume: "goes on", cancel: "cancelled", remove: "removed" } as const;

/** `omni-p2p transfers`: lists, watches and steers distributed transfers. */
export async function transfersCommand(
  action: TransfersAction,
  id: string | undefined,
  flags: TransfersFlags,
  session: Session,
): Promise<ExitCode> {
  if (action !== "list" && id === undefined) {
    throw new UsageError(`transfers ${action} needs the id of a transfer`, `omni-p2p transfers ${action} <id>`);
  }
  const { DistributedTransfer } = await loadEngine();
  const client = new DistributedTransfer({ connection: redisUrl(flags), ...signing() });
  try {
    if (action === "list" || id === undefined) return await list(client, id, session.out);
    if (action === "watch") return await watchTransfer(client, id, session, flags.progressInterval);
    if (action === "failed") return await failed(client, id, session.out);
    await client[action](id);
    session.out.line(`${id}: ${STEPS[action]}`);
    return ExitCode.OK;
  } finally {
    await client.close();
  }
}

/** All transfers; or the partitions of one. */
async function list(client: DistributedTransfer, id: string | undefined, out: Output): Promise<ExitCode> {
  if (id !== undefined) return listParts(client, id, out);
  const transfers = await client.list();
  for (const transfer of transfers) out.event({ event: "transfer", ...transfer });
  if (transfers.length === 0) out.note("There are no distributed transfers.");
  else {
    const rows = transfers.map((transfer) => [
      transfer.id,
      transfer.state,
      `${transfer.source} → ${transfer.target}`,
      recordsOf(transfer),
      formatCount(transfer.failures),
      String(transfer.partitions),
      transfer.createdAt,
    ]);
    const header = ["ID", "STATE", "FROM → TO", "RECORDS", "FAILED", "PARTITIONS", "SUBMITTED"];
    for (const line of formatTable(header, rows)) out.line(line);
  }
  return ExitCode.OK;
}

function recordsOf({ records, total }: TransferStatus): string {
  return total === undefined ? formatCount(records) : `${formatCount(records)} of ${formatCount(total)}`;
}

async function listParts(client: DistributedTransfer, id: string, out: Output): Promise<ExitCode> {
  const parts = await client.partitions(id);
  for (const part of parts) out.event({ event: "partition", transferId: id, ...part });
  const rows = parts.map((part) => [
    String(part.part),
    part.state,
    formatCount(part.records),
    formatCount(part.failures),
    `${part.grainsDone} of ${part.grains}`,
    part.worker ?? "",
  ]);
  for (const line of formatTable(["PARTITION", "STATE", "RECORDS", "FAILED", "PIECES", "WORKER"], rows)) out.line(line);
  return ExitCode.OK;
}

/** The dead letters of a transfer, as they would stand in a file: `omni-p2p replay` takes them. */
async function failed(client: DistributedTransfer, id: string, out: Output): Promise<ExitCode> {
  for await (const letter of client.deadLetters(id)) out.data(JSON.stringify(letter));
  return ExitCode.OK;
}
