import { setFlagsFromString } from "node:v8";
import { main } from "./main.ts";
import { tellSupervisor } from "./supervision/channel.ts";

// The process that does a command's work; the one that the user started supervises it.
// Of what a copy keeps little lives long: left alone, V8 lets the heap grow to twice that and more before it clears it.
setFlagsFromString("--heap-growing-percent=50");

const code = await main(process.argv.slice(2));
process.exitCode = code;
tellSupervisor({ kind: "ended", code });
// A client that keeps a socket or a timer after close() must not keep the terminal.
setTimeout(() => process.exit(code), 2000).unref();
