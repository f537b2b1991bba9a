import { realpathSync, statSync } from "node:fs";
import type { StoreIdentity } from "@omni/p2p-core/starter";
import { foldName } from "./sql.ts";
import type { SqliteStore } from "./store.ts";

/**
 * Which table of which file an endpoint leads to at this moment. The path is looked at anew each time: the file that is
 * open may have been deleted or replaced.
 *
 * A file is known through links of either kind, and told from a later one by its inode and the time it was made, since
 * inodes are used again. A table that is dropped and made anew in one file, and a file that is copied over in
 * place, leave no mark that VACUUM would not leave as well, so that is never certain.
 */
export async function identityOf(store: SqliteStore, table: string, signal: AbortSignal): Promise<StoreIdentity> {
  const { file } = store.endpoint;
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (found === undefined) return {};
  // A path without links in it is the file's one name, unless there are hard links: these have the inode in common.
  const path = found.nlink > 1n ? `${found.dev}:${found.ino}` : realpathSync.native(file);
  const thing = `file ${path}, table "${foldName(table)}"`;
  const isOpen = store.inode === undefined || store.inode === `${found.dev}:${found.ino}`;
  if (isOpen && (await store.patiently("read", signal, () => store.table(table))) === undefined) return { thing };
  return { thing, incarnation: `inode ${found.ino}, made at ${found.birthtimeNs} ns` };
}
