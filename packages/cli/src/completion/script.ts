import { script } from "@bomb.sh/tab";
import { ExitCode } from "../exit-code.ts";

/** `omni-p2p completion`: prints the script that asks `omni-p2p complete` at each press of Tab. */
export async function printCompletionScript(shell: string): Promise<ExitCode> {
  script(shell as Parameters<typeof script>[0], "omni-p2p", "omni-p2p");
  return ExitCode.OK;
}
