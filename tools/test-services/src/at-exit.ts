const tasks = new Set<() => void>();

process.on("exit", () => {
  for (const task of tasks) {
    try {
      task();
    } catch {
      // The process is ending: what one task could not do must not keep the next from trying.
    }
  }
});

/** Runs the task, which must not wait for anything, when this process exits. Returns how to take that back. */
export function atExit(task: () => void): () => void {
  tasks.add(task);
  return () => tasks.delete(task);
}
