import { supervise } from "./supervision/supervisor.ts";

const argv = process.argv.slice(2);

/** What is answered at once, by this process alone. */
const HERE: ReadonlySet<string | undefined> = new Set([undefined, "help", "completion", "complete"]);
const HELP: ReadonlySet<string> = new Set(["--help", "-h", "--version", "-V"]);

if (HERE.has(argv[0]) || argv.some((word) => HELP.has(word))) {
  const { main } = await import("./main.ts");
  process.exitCode = await main(argv);
} else {
  process.exitCode = await supervise(argv);
}
