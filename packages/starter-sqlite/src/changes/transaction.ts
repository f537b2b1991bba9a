import type { SqliteStore } from "../client/store.ts";

/** Does something in one write transaction, wholly or not at all. It meets a lock at its very beginning, or never. */
export function inTransaction<T>(store: SqliteStore, work: () => T): T {
  store.db.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    store.db.exec("COMMIT");
    return result;
  } catch (error) {
    if (store.db.inTransaction) store.db.exec("ROLLBACK");
    store.forgetTable();
    throw error;
  }
}
