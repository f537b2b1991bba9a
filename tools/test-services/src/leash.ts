import { type Child, type ChildOptions, startChild } from "./child.ts";

/**
 * Runs a server on a leash: a server that does not care about its stdin has a shell read it, which ends the server by the
 * given signal when it closes. The first line of output is the server's process id.
 */
const leash = `
exec 3<&0
signal=$1
shift
"$@" </dev/null >&2 3<&- &
server=$!
( while read -r _; do :; done; kill "-$signal" "$server" ) <&3 >/dev/null 2>&1 &
reader=$!
exec 3<&-
echo "$server"
wait "$server"
status=$?
kill "$reader" 2>/dev/null
exit "$status"
`;

/** How a server on a leash is started. */
export interface LeashOptions extends Omit<ChildOptions, "pidFrom"> {
  /** The signal that ends it in order. @default "TERM" */
  readonly signal?: "TERM" | "INT" | undefined;
}

/** Starts a server that does not end by itself when its stdin closes. */
export function startOnLeash(
  command: string,
  args: readonly string[],
  { signal = "TERM", ...options }: LeashOptions,
): Promise<Child> {
  return startChild("sh", ["-c", leash, "sh", signal, command, ...args], { ...options, pidFrom: Number });
}

/** Waits until the server is listening and has loaded its data; one that does not is killed. */
export async function untilItAnswers<Answer>(ask: () => Promise<Answer>, child: Child): Promise<Answer> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    try {
      return await Promise.race([ask(), child.died]);
    } catch (error) {
      if (child.hasEnded() || Date.now() > deadline) {
        await child.kill();
        throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
