import { type Command, Option } from "commander";

/** Flags that say what is printed. */
export interface OutputFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** The heading of these flags in the help. */
export const OUTPUT = "Output:";

export function withOutput(command: Command): Command {
  return command
    .addOption(new Option("--json", "print JSON, one object a line").helpGroup(OUTPUT))
    .addOption(new Option("-q, --quiet", "print errors alone").helpGroup(OUTPUT))
    .helpOption("-h, --help", "show this help");
}
