import type { ChildProcess } from "node:child_process";

/** Resolves when a process prints a word, or ends. */
export function saying(child: ChildProcess, word: string): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve());
    child.stdout?.on("data", (data: Buffer) => {
      if (data.includes(word)) resolve();
    });
  });
}
