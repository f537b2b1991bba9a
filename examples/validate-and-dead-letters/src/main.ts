import { DefaultP2PConnectionManager, type TransferFailure } from "@omni/p2p-core";
import { mended, validated } from "./customer.ts";
import { writeOldCustomers } from "./old-customers.ts";

writeOldCustomers("data/old.db");
const target = "sqlite:./data/new.db?table=customers";

await using manager = new DefaultP2PConnectionManager();

console.log("1. Only valid customers go over");
const first = await manager.establish("sqlite:./data/old.db?table=customers", target);
const moved = await manager.transferThroughConnection(
  first.connectionId,
  {},
  // A fifth may be faulty; more would mean that the schema is wrong.
  { transform: validated, deadLetters: "./data/rejected.ndjson", max_failures: "20%" },
);
console.log(`   ${moved.successCount} written, ${moved.failureCount} rejected`);
show(moved.errors);

console.log("2. What can be mended is replayed");
const second = await manager.establish("dead-letters:./data/rejected.ndjson?phase=transform", target);
const replayed = await manager.transferThroughConnection(
  second.connectionId,
  {},
  // Not into the file that is being read.
  { transform: mended, deadLetters: "./data/for-people.ndjson" },
);
console.log(`   ${replayed.successCount} written, ${replayed.failureCount} left for people to look at`);
show(replayed.errors);

function show(errors: readonly TransferFailure[]): void {
  for (const { reason } of errors.slice(0, 3)) console.log(`   ${reason}`);
}
