/** Durability: fsync of a folder. */
import { open } from "node:fs/promises";

/**
 * Makes sure that names given in a folder survive a loss of power, where the system can do that: some cannot open a
 * folder, and some file systems cannot bring one to the disk.
 */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EIO" || code === "ENOSPC" || code === "EDQUOT") throw error;
  }
}
