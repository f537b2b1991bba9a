#!/usr/bin/env node
import { main } from "./main.ts";

const code = await main(process.argv.slice(2));
process.exitCode = code;
// A client that keeps a socket or a timer after close() must not keep the terminal.
setTimeout(() => process.exit(code), 2000).unref();
