import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { afterAll, beforeAll, expect, it } from "vitest";

const TABLES = 40;
const ROWS = 25;

interface Db {
  exec(sql: string): void;
  prepare(sql: string): { all(): unknown[] };
  close(): void;
}

const ofSqlite = createRequire(createRequire(import.meta.url).resolve("@omni/p2p-starter-sqlite/package.json"));
const Database = ofSqlite("better-sqlite3") as new (file: string) => Db;
const ofPostgresql = createRequire(createRequire(import.meta.url).resolve("@omni/p2p-starter-postgresql/package.json"));
const { Client } = ofPostgresql("pg") as {
  Client: new (
    options: object,
  ) => {
    connect(): Promise<void>;
    query(sql: string): Promise<{ rows: Record<string, unknown>[] }>;
    end(): Promise<void>;
  };
};

/** The tables of an application: each refers to another one, and two to each other. */
const names = Array.from({ length: TABLES }, (_, n) => `t${String((n * 17) % TABLES).padStart(2, "0")}`);

/** The table that one refers to: the first two to each other, the others to one before them. */
function parentOf(at: number): string {
  return at === 0 ? names[1]! : names[Math.floor(at / 2)]!;
}

function createSql(at: number, foreignKeys: boolean): string {
  const references = foreignKeys ? ` REFERENCES ${parentOf(at)}` : "";
  return `CREATE TABLE ${names[at]} (id INTEGER PRIMARY KEY, name TEXT NOT NULL, parent INTEGER${references}, price DOUBLE PRECISION);`;
}

describeWithService("postgresql", "a whole database", ({ url }) => {
  const folder = mkdtempSync(join(tmpdir(), "p2p-databases-"));
  const file = (name: string) => join(folder, `${name}.db`);
  const schema = `databases_${process.pid}`;
  const client = new Client({ connectionString: url });
  const manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
  const postgresql = `${url}${url.includes("?") ? "&" : "?"}schema=${schema}`;

  beforeAll(async () => {
    await client.connect();
    await client.query(`CREATE SCHEMA ${schema}`);
    const db = new Database(file("app"));
    db.exec("PRAGMA foreign_keys = OFF");
    for (let at = 0; at < TABLES; at++) {
      db.exec(`${createSql(at, true)} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
        INSERT INTO ${names[at]} SELECT i, 'name ' || i, i % ${ROWS} + 1, i / 4.0 FROM n`);
    }
    db.close();
  });
  afterAll(async () => {
    await manager.close();
    await client.query(`DROP SCHEMA ${schema} CASCADE`);
    await client.end();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The rows of all tables by plain SQL. */
  function rowsOf(name: string): unknown[][] {
    const db = new Database(file(name));
    const rows = names.map((table) => db.prepare(`SELECT id, name, parent, price FROM ${table} ORDER BY id`).all());
    db.close();
    return rows;
  }

  it("goes from SQLite into PostgreSQL, whose foreign keys go in a circle, and back", async () => {
    await client.query(`SET search_path = ${schema}; ${names.map((_, at) => createSql(at, false)).join("\n")}`);
    for (const [at, name] of names.entries()) {
      await client.query(`ALTER TABLE ${name} ADD FOREIGN KEY (parent) REFERENCES ${parentOf(at)}`);
    }
    const checkpoint = join(folder, "state");
    const there = await manager.transferDatabase(`sqlite:${file("app")}`, postgresql, { checkpoint, verify: true })
      .done;
    expect(there.collections.filter(({ status }) => status !== "completed")).toEqual([]);
    expect(there).toMatchObject({ status: "completed", counts: { successCount: TABLES * ROWS } });
    expect(there.notes.join()).toContain("Foreign keys go in a circle (");
    const inServer = [];
    for (const name of names) {
      inServer.push((await client.query(`SELECT id, name, parent, price FROM ${schema}.${name} ORDER BY id`)).rows);
    }
    expect(inServer).toEqual(rowsOf("app"));
    const back = await manager.transferDatabase(postgresql, `sqlite:${file("back")}`, { checkpoint, verify: true })
      .done;
    expect(back.status).toBe("completed");
    expect(rowsOf("back")).toEqual(rowsOf("app"));
  });

  it("writes no two tables into one, and lets triggers fire where it can", async () => {
    const other = `${schema}_other`;
    await client.query(`CREATE SCHEMA ${other}; CREATE TABLE ${other}.node (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES ${other}.node);
      CREATE TABLE ${other}.log (id INTEGER);
      CREATE FUNCTION ${other}.note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO ${other}.log VALUES (NEW.id); RETURN NEW; END $$;
      CREATE TRIGGER noted AFTER INSERT ON ${other}.node FOR EACH ROW EXECUTE FUNCTION ${other}.note();
      CREATE SCHEMA ${schema}_twin; CREATE TABLE ${schema}_twin.node (id INTEGER PRIMARY KEY)`);
    const into = `${url}${url.includes("?") ? "&" : "?"}schema=${other}`;
    const checkpoint = join(folder, "state");
    try {
      const db = new Database(file("tree"));
      db.exec("CREATE TABLE node (id INTEGER PRIMARY KEY, parent INTEGER); INSERT INTO node VALUES (1, NULL), (2, 1)");
      db.close();
      const { status, notes } = await manager.transferDatabase(`sqlite:${file("tree")}`, into, { checkpoint }).done;
      expect(status).toBe("completed");
      expect(notes.join()).toContain("node refers to itself by a foreign key that the target checks");
      expect((await client.query(`SELECT id FROM ${other}.log ORDER BY id`)).rows).toEqual([{ id: 1 }, { id: 2 }]);
      const both = { checkpoint, collections: [`${other}.node`, `${schema}_twin.node`] };
      await expect(manager.transferDatabase(url, postgresql, both).done).rejects.toMatchObject({
        code: "INVALID_CONFIG",
        message: expect.stringContaining("would be written into one and the same collection"),
      });
      // In the schema where a name without one leads.
      const same = {
        checkpoint,
        collections: both.collections,
        rename: [`${other}.(.*)=$1`, `${schema}_twin.(.*)=public.$1`],
      };
      await expect(manager.transferDatabase(url, url, same).done).rejects.toThrow(/one and the same collection/);
    } finally {
      await client.query(`DROP SCHEMA ${other} CASCADE; DROP SCHEMA ${schema}_twin CASCADE`);
    }
  });

  it("lists schemas, and takes the tables of one of them under other names", async () => {
    const { collections } = await manager.collections(url);
    const ours = collections.filter(({ namespace }) => namespace === schema);
    expect(ours).toHaveLength(TABLES);
    expect(ours[0]).toMatchObject({
      kind: "table",
      visible: false,
      key: ["id"],
      foreignKeys: [{ fields: ["parent"] }],
    });
    const result = await manager.transferDatabase(url, "memory:", {
      checkpoint: join(folder, "state"),
      collections: [`${schema}.t0*`],
      rename: [`${schema}.(.*)=copy_$1`],
    }).done;
    expect(result.status).toBe("completed");
    expect(result.collections.map(({ targetName }) => targetName).toSorted()[0]).toBe("copy_t00");
    expect(result.collections).toHaveLength(10);
  });
});
