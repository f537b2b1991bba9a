import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { idKey } from "@omni/p2p-core/starter";
import { describeConformance } from "@omni/p2p-testkit";
import Database from "better-sqlite3";
import { sqliteStarter } from "../src/index.ts";

/** A sidecar of the right form, with a text that is no valid one: half of a surrogate pair. */
const BROKEN = '{"values":{"broken":"\\ud800"}}';

/** Writes the sidecar of one record, as another program would. */
function breakRow(file: string, key: string): void {
  const db = new Database(file);
  try {
    const { changes } = db.prepare("UPDATE records SET _p2p = ? WHERE id = ?").run(BROKEN, key);
    if (changes !== 1) throw new Error(`${changes} rows have the id ${key}`);
  } finally {
    db.close();
  }
}

/** Does something with one record, as another program would. */
function change(file: string, sql: string, key: string): void {
  const db = new Database(file);
  try {
    db.prepare(sql).run(key);
  } finally {
    db.close();
  }
}

/** The rules of every store for SQLite, written by the process itself or by a thread of its own. */
export function describeSqlite(name: string, thread: "never" | "always"): void {
  describeConformance({
    name,
    starter: sqliteStarter,
    async createEndpoint() {
      const folder = await mkdtemp(join(tmpdir(), "p2p-sqlite-"));
      return {
        endpoint: `sqlite:${folder}/store.db?table=records&thread=${thread}`,
        database: { endpoint: `sqlite:${folder}/store.db?thread=${thread}`, name: "records" },
        changeRecord: async (id) => change(`${folder}/store.db`, "UPDATE records SET n = 100 WHERE id = ?", idKey(id)),
        deleteRecords: async (ids) => {
          for (const id of ids) change(`${folder}/store.db`, "DELETE FROM records WHERE id = ?", idKey(id));
        },
        breakRecord: async (id) => breakRow(`${folder}/store.db`, idKey(id)),
        // The file alone: a folder is made by nobody.
        remove: () =>
          Promise.all(["", "-wal", "-shm"].map((end) => rm(`${folder}/store.db${end}`, { force: true }))).then(
            () => {},
          ),
        dispose: () => rm(folder, { recursive: true, force: true }),
      };
    },
  });
}
