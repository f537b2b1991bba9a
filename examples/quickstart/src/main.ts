import { mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { DefaultP2PConnectionManager, type TransferProgress } from "@omni/p2p-core";
import { Presets, SingleBar } from "cli-progress";
import { toDocument } from "./document.ts";
import { writeKnowledgeBase } from "./knowledge-base.ts";
import { collectSections } from "./sections.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const folder = process.env.P2P_QUICKSTART_FOLDER ?? join(root, "data");
const source = join(folder, "knowledge.db");
const target = join(folder, "search.db");

mkdirSync(folder, { recursive: true });
rmSync(target, { force: true });

console.log("1. Collecting the sections of every Markdown file here and in the installed packages");
const sections = writeKnowledgeBase(source, collectSections(root));
console.log(`   ${sections.toLocaleString("en")} sections in ${shown(source)}`);

const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
try {
  console.log("2. Establishing a connection: the sqlite starter is installed, so nothing is registered");
  const connection = await manager.establish(`sqlite:${source}?table=sections`, `sqlite:${target}?table=documents`, {
    batch_size: 500,
    description: "knowledge base to search documents",
  });

  console.log("3. Transferring, through a transform into another schema");
  const first = await transfer(connection.connectionId);
  console.log(
    `   ${first.successCount.toLocaleString("en")} written, ${first.failureCount} failed, in ${Math.round(first.durationMs)} ms`,
  );

  console.log("4. Transferring once more: what is there already is replaced, not doubled");
  const second = await transfer(connection.connectionId);
  console.log(
    `   ${second.successCount.toLocaleString("en")} written, ${second.failureCount} failed, in ${Math.round(second.durationMs)} ms`,
  );

  console.log("5. The connection's statistics");
  for (const [name, value] of Object.entries(manager.getConnectionStatistics(connection.connectionId))) {
    console.log(`   ${name.padEnd(28)}${typeof value === "number" ? Math.round(value * 10) / 10 : value}`);
  }

  console.log("6. Comparing source and target, record by record");
  const check = await manager.verify(connection.connectionId, {}, { transform: toDocument });
  console.log(
    `   ${check.sourceCount.toLocaleString("en")} in the source, ${check.targetCount.toLocaleString("en")} in the target: ` +
      `${check.missing} missing, ${check.extra} extra, ${check.different} different`,
  );
  if (!check.equal || first.failureCount + second.failureCount > 0) process.exitCode = 1;
  console.log(
    check.equal ? `Source and target agree. Have a look: ${shown(target)}` : "Source and target do not agree.",
  );
} finally {
  await manager.close();
}

async function transfer(connectionId: string) {
  const bar = new SingleBar(
    {
      format: "   [{bar}] {percentage}% {value}/{total} {rate} records/s",
      hideCursor: true,
      noTTYOutput: true,
      notTTYSchedule: 2000,
    },
    Presets.shades_classic,
  );
  bar.start(sections, 0, { rate: "-" });
  const onProgress = ({ records, rate }: TransferProgress) =>
    bar.update(records, { rate: Math.round(rate).toLocaleString("en") });
  try {
    return await manager.transferThroughConnection(
      connectionId,
      {},
      { transform: toDocument, onProgress, progressInterval: 50 },
    );
  } finally {
    bar.stop();
  }
}

function shown(file: string): string {
  return relative(process.cwd(), file) || file;
}
