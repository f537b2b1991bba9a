/** A pool of connections to files that are held open: to open one anew means to read its whole schema, and to close a writer to wait for the disk. */
import type { Database } from "better-sqlite3";

interface HeldFile {
  holders: number;
  readonly inode: string | undefined;
  readonly idle: Database[];
}

const held = new Map<string, HeldFile>();

function keyOf(file: string, readOnly: boolean): string {
  return `${readOnly ? "r" : "w"}:${file}`;
}

/**
 * Holds a file, which is open already: connections to it are kept from now on when they are closed.
 *
 * @returns what lets it go, and closes those that nobody uses.
 */
export function holdFile(file: string, readOnly: boolean, inode: string | undefined): () => void {
  const key = keyOf(file, readOnly);
  const known = held.get(key);
  const kept = known !== undefined && known.inode === inode ? known : { holders: 0, inode, idle: [] };
  kept.holders++;
  held.set(key, kept);
  return () => {
    if (--kept.holders > 0) return;
    if (held.get(key) === kept) held.delete(key);
    for (const db of kept.idle.splice(0)) closeConnection(db, readOnly);
  };
}

/** Whether somebody holds a file to write it. */
export function isHeld(file: string): boolean {
  return held.has(keyOf(file, false));
}

/** A connection that was kept; `undefined` where there is none, or the path leads to another file by now. */
export function takeHeld(file: string, readOnly: boolean, inode: string | undefined): Database | undefined {
  const kept = held.get(keyOf(file, readOnly));
  return kept !== undefined && kept.inode === inode ? kept.idle.pop() : undefined;
}

/** Closes a connection, or keeps it where its file is held. */
export function closeOrKeep(db: Database, file: string, readOnly: boolean, inode: string | undefined): void {
  const kept = held.get(keyOf(file, readOnly));
  // One in the middle of something is of no use to others.
  if (kept !== undefined && kept.inode === inode && !db.inTransaction) kept.idle.push(db);
  else closeConnection(db, readOnly);
}

function closeConnection(db: Database, readOnly: boolean): void {
  try {
    if (!readOnly) db.pragma("wal_checkpoint(TRUNCATE)");
  } catch {
    // A reader is in the way. Nothing is lost: the log stays until the next one to close can move it.
  }
  db.close();
}
