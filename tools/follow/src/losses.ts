/** How the position of a follower is lost, by the store that is followed. */
import { starterOf } from "@omni/p2p-chaos/wrapped-stores";
import { parseEndpoint } from "@omni/p2p-core";
import { memoryStore } from "@omni/p2p-starter-memory";
import Database from "better-sqlite3";
import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { Client } from "pg";
import { partsOf } from "./places.ts";

/** What is about to lose its position. */
export interface Losing {
  /** The source itself, not by way of a proxy. */
  readonly place: string;
  readonly transferId: string;
  /** Cuts every connection to the source. */
  cut(): void;
}

/** One way to lose a position. */
export interface Loss {
  readonly name: string;
  lose(losing: Losing): Promise<void>;
}

/** Changes that the journal of a memory store keeps here. */
export const JOURNAL = 5000;

/** Every way, by store; a trial takes them by turns. */
export const LOSSES: Readonly<Record<string, readonly Loss[]>> = {
  memory: [
    {
      name: "ring overrun",
      // In one turn of the event loop, so that nobody reads meanwhile; the last state is that of the first.
      lose: async ({ place }) => {
        const store = memoryStore(partsOf(place).name);
        const [record] = store.values();
        for (let change = 0; change <= JOURNAL * 2; change++) store.put(record!);
      },
    },
  ],
  sqlite: [
    {
      name: "table rebuilt",
      lose: ({ place }) =>
        onSqlite(place, (database, table) =>
          database.transaction(() => {
            database.exec(`CREATE TABLE rebuilt (id TEXT PRIMARY KEY, "change" INTEGER, text TEXT, at TEXT);
              INSERT INTO rebuilt SELECT * FROM "${table}"; DROP TABLE "${table}"; ALTER TABLE rebuilt RENAME TO "${table}"`);
          })(),
        ),
    },
    {
      name: "journal dropped by hand",
      // With its triggers, as who cleans up does: without the table they would fail the application's writes.
      lose: ({ place }) =>
        onSqlite(place, (database, table) => {
          const triggers = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?")
            .pluck()
            .all(table) as string[];
          const journal = journalOf(database);
          database.transaction(() => {
            for (const name of triggers) database.exec(`DROP TRIGGER "${name}"`);
            database.exec(`DROP TABLE "${journal}"`);
          })();
        }),
    },
    {
      name: "journal emptied by hand",
      lose: ({ place }) => onSqlite(place, (database) => database.exec(`DELETE FROM "${journalOf(database)}"`)),
    },
  ],
  postgresql: [
    { name: "slot dropped", lose: forgetFollower },
    {
      name: "slot invalidated",
      async lose({ place, transferId }) {
        await onPostgresql(place, async (client) => {
          const slot = `s.slot_name LIKE '%${transferId.replaceAll("-", "_")}%'`;
          try {
            await client.query("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'");
            await client.query("SELECT pg_reload_conf()");
            for (let tries = 0; tries < 50; tries++) {
              for (let segment = 0; segment < 3; segment++) {
                await client.query("SELECT pg_logical_emit_message(false, 'proof', 'x'), pg_switch_wal()");
              }
              await client.query("CHECKPOINT");
              const { rows } = await client.query<{ lost: boolean }>(
                `SELECT s.wal_status = 'lost' AS lost FROM pg_replication_slots s WHERE ${slot}`,
              );
              // None: its follower has found it lost already, and is about to make another.
              if (rows.length === 0 || rows.some(({ lost }) => lost)) return;
            }
            throw new Error("the slot could not be invalidated");
          } finally {
            await client.query("ALTER SYSTEM RESET max_slot_wal_keep_size");
            await client.query("SELECT pg_reload_conf()");
          }
        });
      },
    },
  ],
  redis: [
    {
      name: "tracking connection killed",
      lose: ({ place }) =>
        onRedis(place, async (client) => {
          for (const line of String(await client.call("CLIENT", "LIST")).split("\n")) {
            const [, id, flags] = /^id=(\d+).* flags=(\S+)/.exec(line) ?? [];
            if (flags?.includes("t")) await client.call("CLIENT", "KILL", "ID", id!);
          }
        }),
    },
  ],
  mongodb: [286, 280].map((errorCode) => ({
    name: `token expired (${errorCode})`,
    async lose({ place, cut }) {
      const client = await MongoClient.connect(partsOf(place).server);
      try {
        const data = { failCommands: ["aggregate"], errorCode };
        await client.db("admin").command({ configureFailPoint: "failCommand", mode: { times: 1 }, data });
        // The stream is opened anew by its token.
        cut();
      } finally {
        await client.close();
      }
    },
  })),
};

/** Takes away what the store keeps for a follower, as `changes disable --follower` does. */
async function forgetFollower({ place, transferId }: Losing): Promise<void> {
  const endpoint = parseEndpoint(place);
  const { changes } = await starterOf(endpoint.storageType);
  const context = { role: "source", signal: AbortSignal.timeout(20_000), connectTimeoutMs: 10_000 } as const;
  await changes?.disable(endpoint, context, transferId);
}

async function onSqlite(place: string, change: (database: Database.Database, table: string) => void): Promise<void> {
  const { file, table } = partsOf(place);
  const database = new Database(file, { timeout: 20_000 });
  try {
    change(database, table);
  } finally {
    database.close();
  }
}

function journalOf(database: Database.Database): string {
  const { number } = database.prepare("SELECT number FROM p2p_changes").get() as { number: number };
  return `p2p_changes_${number}`;
}

async function onRedis(place: string, change: (client: Redis) => Promise<void>): Promise<void> {
  const client = new Redis(partsOf(place).server, { lazyConnect: true });
  await client.connect();
  try {
    await change(client);
  } finally {
    client.disconnect();
  }
}

async function onPostgresql(place: string, change: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: partsOf(place).server });
  await client.connect();
  try {
    await change(client);
  } finally {
    await client.end();
  }
}
