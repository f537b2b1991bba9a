// The same transfer in one process, for comparison: prints the milliseconds it took.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";

const [source = "", target = ""] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "omni-p2p-overhead-"));
await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
const startedAt = performance.now();
const { connectionId } = await manager.establish(source, target);
const result = await manager.transferThroughConnection(connectionId, {}, { transferId: "whole", checkpoint: folder });
console.log(JSON.stringify({ ms: performance.now() - startedAt, records: result.successCount }));
rmSync(folder, { recursive: true, force: true });
