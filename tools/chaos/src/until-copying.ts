import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";

/** Longest wait for a COPY, in ms: a transfer that makes none is over by then. */
const PATIENCE = 20_000;

/** Resolves while a session of a PostgreSQL server is taking rows by COPY, some of which it has already. */
export async function untilCopying(server: string): Promise<void> {
  const client = new Client(server);
  await client.connect();
  try {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const text = "SELECT 1 FROM pg_stat_progress_copy WHERE type = 'PIPE' AND tuples_processed > 0";
      if ((await client.query(text)).rows.length > 0) return;
      await sleep(1);
    }
    throw new Error(`no session took rows by COPY within ${PATIENCE / 1000} s`);
  } finally {
    await client.end();
  }
}
