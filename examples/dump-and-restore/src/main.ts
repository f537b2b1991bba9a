import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { copyAndCompare } from "./compare.ts";

const [command, file = "orders.ndjson.gz"] = process.argv.slice(2);
const collection = process.env.MONGODB_URL ?? "mongodb://localhost:27017/shop?collection=orders";

await using manager = new DefaultP2PConnectionManager();
switch (command) {
  case "dump": {
    const { records, equal } = await copyAndCompare(manager, collection, `file:${file}`);
    console.log(`${records} records in ${file}, equal: ${equal}`);
    if (!equal) process.exitCode = 1;
    break;
  }
  case "restore": {
    const { records, equal } = await copyAndCompare(manager, `file:${file}`, collection);
    console.log(`${records} records brought back, equal: ${equal}`);
    if (!equal) process.exitCode = 1;
    break;
  }
  default:
    console.error("Say what to do: node src/main.ts dump|restore [file]");
    process.exitCode = 2;
}
