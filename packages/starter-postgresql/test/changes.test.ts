import type { ChangeBatch, ChangeFeed, IdRef, JsonValue, OpenContext } from "@omni/p2p-core/starter";
import { ServiceUnavailableError, startPgbouncer, startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Client } from "pg";
import { afterAll, expect, it, vi } from "vitest";
import { PostgresqlStore } from "../src/client/store.ts";
import { postgresqlStarter } from "../src/index.ts";
import {
  calm,
  cleanUp,
  openEndpoint,
  rejection,
  Scratch,
  type ScratchSchema,
  serverEndpoint,
  write,
} from "./support.ts";

const context: OpenContext = { role: "source", signal: calm, connectTimeoutMs: 5000 };
const control = postgresqlStarter.changes!;

/** A feed that is on, and goes when the test is over. */
async function followed(schema: ScratchSchema, table: string, options: Record<string, unknown> = {}) {
  await control.enable(schema.endpoint(table, options), context);
  cleanUp(() => control.disable(schema.endpoint(table, options), context));
  const service = await schema.open(table, options);
  return service.changes!;
}

/** Reads a feed beside the test. */
class Reader {
  readonly #abort = new AbortController();
  readonly batches: ChangeBatch[] = [];
  readonly ended: Promise<unknown>;

  constructor(feed: ChangeFeed, after: JsonValue, { follower = "f", maxWaitMs = 200 } = {}) {
    this.ended = this.#read(feed, { follower, after, maxWaitMs, signal: this.#abort.signal });
    cleanUp(() => this.stop());
  }

  async #read(feed: ChangeFeed, options: Parameters<ChangeFeed["read"]>[0]): Promise<unknown> {
    try {
      for await (const batch of feed.read(options)) this.batches.push(batch);
    } catch (error) {
      return error;
    }
    return undefined;
  }

  get ids(): unknown[] {
    return this.batches.flatMap(({ refs }) => refs.map(({ id }: IdRef) => id));
  }

  async until(isSo: () => boolean): Promise<void> {
    await expect.poll(isSo, { timeout: 10_000, interval: 5 }).toBe(true);
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error("enough"));
    await this.ended;
  }
}

/** Whether a timer is still to come: Node has a field for it, and nothing else says so. */
function isRunning(timer: NodeJS.Timeout): boolean {
  return !(timer as unknown as { readonly _destroyed: boolean })._destroyed;
}

describeWithService("postgresql", "the feed of changes", ({ url }) => {
  const scratch = new Scratch(url, "changes");

  it("names what was inserted, updated and deleted, and both ids where an update changed the key", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, v text)");
    const feed = await followed(schema, "t");
    await schema.sql("INSERT INTO t VALUES (1, 'before')");
    const start = await feed.now("f", calm);
    const before = Date.now();
    const reader = new Reader(feed, start);
    await schema.sql("INSERT INTO t VALUES (2, 'a'), (3, 'b')");
    await schema.sql("UPDATE t SET v = 'c' WHERE id = 2");
    await schema.sql("UPDATE t SET id = 30 WHERE id = 3");
    await schema.sql("DELETE FROM t WHERE id = 1");
    await reader.until(() => reader.ids.includes(1));
    expect([...new Set(reader.ids)].sort()).toEqual([1, 2, 3, 30]);
    const told = reader.batches.find(({ refs }) => refs.length > 0)!;
    expect(Math.abs(told.committedAt!.getTime() - before)).toBeLessThan(10_000);
  });

  it("tells from any position that was not acknowledged, and gives up the log that was", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    const start = await feed.now("f", calm);
    await schema.sql("INSERT INTO t VALUES (1)");
    const first = new Reader(feed, start);
    await first.until(() => first.ids.includes(1));
    await schema.sql("INSERT INTO t VALUES (2)");
    await first.until(() => first.ids.includes(2));
    await first.stop();
    const again = new Reader(await schema.open("t").then((service) => service.changes!), start);
    await again.until(() => again.ids.includes(2));
    expect(again.ids).toEqual(expect.arrayContaining([1, 2]));
    await again.stop();
    const last = again.batches.at(-1)!.cursor;
    await feed.acknowledge!("f", last, calm);
    expect(await new Reader(feed, start).ended).toMatchObject({ code: "CHANGES_LOST" });
    const onward = new Reader(feed, last);
    await schema.sql("INSERT INTO t VALUES (3)");
    await onward.until(() => onward.ids.includes(3));
    expect(onward.ids).toEqual([3]);
    await feed.acknowledge!("f", onward.batches.at(-1)!.cursor, calm);
    expect(await new Reader(feed, start, { follower: "other" }).ended).toMatchObject({ code: "CHANGES_LOST" });
  });

  it("moves on while nothing happens to the table, and says each id once a batch", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE other (id int)");
    const feed = await followed(schema, "t");
    const start = await feed.now("f", calm);
    await schema.sql("INSERT INTO t SELECT n, 0 FROM generate_series(1, 12000) n");
    for (let n = 0; n < 5; n++) await schema.sql("UPDATE t SET n = n + 1 WHERE id <= 10");
    const reader = new Reader(feed, start, { maxWaitMs: 50 });
    await reader.until(() => reader.batches.length > 2 && reader.batches.at(-1)!.refs.length === 0);
    expect(new Set(reader.ids).size).toBe(12_000);
    expect(Math.max(...reader.batches.map(({ refs }) => refs.length))).toBeLessThan(9000);
    const still = JSON.stringify(reader.batches.at(-1)!.cursor);
    await schema.sql("INSERT INTO other SELECT generate_series(1, 100)");
    await reader.until(() => JSON.stringify(reader.batches.at(-1)!.cursor) !== still);
    expect(reader.batches.at(-1)!.refs).toEqual([]);
  });

  it("names the ids of our own tables, composite keys, and keys of every kind, as reading does", async () => {
    const schema = await scratch.schema(`CREATE TABLE pair (a text, b timestamptz, v text, PRIMARY KEY (b, a));
      CREATE TABLE odd ("The Key" numeric PRIMARY KEY, id int)`);
    const own = await schema.open("docs", {}, "target");
    await write(own, [{ id: "first" }]);
    const long = `long ${"x".repeat(3000)}`;
    const feeds = {
      docs: await followed(schema, "docs"),
      pair: await followed(schema, "pair"),
      odd: await followed(schema, "odd"),
    };
    const readers: Record<string, Reader> = {};
    for (const [table, feed] of Object.entries(feeds)) {
      readers[table] = new Reader(feed, await feed.now("f", calm));
    }
    await write(own, [{ id: 7, x: 1 }, { id: long, x: 2 }, { id: "nul\0" }]);
    await schema.sql(`INSERT INTO pair VALUES ('ü', '2024-01-01 12:00:00.123456+02', 'x');
      INSERT INTO odd VALUES (1.50, 3), (123456789012345678901234567890, 4)`);
    for (const [table, reader] of Object.entries(readers)) {
      const service = await schema.open(table);
      await reader.until(() => reader.ids.length >= { docs: 3, pair: 1, odd: 2 }[table]!);
      const refs = reader.batches.flatMap((batch) => [...batch.refs]);
      const found = await service.lookUp!(refs, {}, { signal: calm });
      expect(
        found.map(({ state }) => state),
        table,
      ).toEqual(refs.map(() => "wanted"));
      if (table === "docs") expect(reader.ids.map(String)).toEqual(expect.arrayContaining(["7", long, "nul\0"]));
    }
    // Of a deleted record whose id is no plain text, the log has its hash alone.
    await schema.sql("DELETE FROM docs WHERE id LIKE 'long%'");
    expect(await readers.docs!.ended).toMatchObject({ code: "CHANGES_LOST" });
    await schema.sql("ALTER TABLE docs REPLICA IDENTITY FULL");
    const whole = new Reader(feeds.docs, await feeds.docs.now("f", calm));
    await schema.sql("DELETE FROM docs WHERE id LIKE 'nul%'");
    await whole.until(() => whole.ids.includes("nul\0"));
  });

  it("takes TRUNCATE for changes that are lost, and goes on behind it", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    const feed = await followed(schema, "t");
    const reader = new Reader(feed, await feed.now("f", calm));
    await schema.sql("BEGIN; INSERT INTO t VALUES (2); TRUNCATE t; INSERT INTO t VALUES (3); COMMIT");
    expect(await reader.ended).toMatchObject({ code: "CHANGES_LOST" });
    const again = new Reader(feed, await feed.now("f", calm));
    await schema.sql("INSERT INTO t VALUES (4)");
    await again.until(() => again.ids.includes(4));
    expect(again.ids).toEqual([4]);
  });

  it("tells of a table that was dropped, made anew or renamed, of its publication and of its slot", async () => {
    const schema = await scratch.schema(`CREATE TABLE gone (id int PRIMARY KEY); CREATE TABLE anew (id int PRIMARY KEY);
      CREATE TABLE renamed (id int PRIMARY KEY); CREATE TABLE private (id int PRIMARY KEY); CREATE TABLE slotless (id int PRIMARY KEY)`);
    const harm: Record<string, readonly [sql: string, code: string]> = {
      gone: ["DROP TABLE gone", "SOURCE_NOT_FOUND"],
      anew: ["DROP TABLE anew; CREATE TABLE anew (id int PRIMARY KEY)", "STORE_CHANGED"],
      renamed: ["ALTER TABLE renamed RENAME TO other", "SOURCE_NOT_FOUND"],
      private: ["", "CHANGES_UNAVAILABLE"],
      slotless: ["", "CHANGES_LOST"],
    };
    const readers = new Map<string, Reader>();
    for (const table of Object.keys(harm)) {
      const feed = await followed(schema, table);
      const start = await feed.now("f", calm);
      if (table !== "slotless") readers.set(table, new Reader(feed, start, { maxWaitMs: 100 }));
      else {
        await feed.release!("f", calm);
        await feed.release!("f", calm);
        readers.set(table, new Reader(feed, start));
      }
    }
    for (const [sql] of Object.values(harm)) if (sql !== "") await schema.sql(sql);
    const [[publication]] = (await scratch.sql(
      `SELECT pubname FROM pg_publication_tables WHERE schemaname = '${schema.name}' AND tablename = 'private'`,
    )) as [[string]];
    await scratch.sql(`DROP PUBLICATION ${publication}`);
    for (const [table, [, code]] of Object.entries(harm)) {
      expect(await readers.get(table)!.ended, table).toMatchObject({ code });
    }
  });

  it("follows partitioned tables as one, and takes a partition that comes or goes for changes that are lost", async () => {
    const schema = await scratch.schema(`CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
      CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO (200)`);
    const feed = await followed(schema, "t");
    const reader = new Reader(feed, await feed.now("f", calm), { maxWaitMs: 100 });
    await schema.sql("INSERT INTO t VALUES (1), (101); INSERT INTO t1 VALUES (2); UPDATE t SET id = 150 WHERE id = 2");
    await reader.until(() => reader.ids.includes(150));
    expect([...new Set(reader.ids)].sort()).toEqual([1, 101, 150, 2]);
    await schema.sql("TRUNCATE t2");
    expect(await reader.ended).toMatchObject({ code: "CHANGES_LOST" });
    const next = new Reader(feed, await feed.now("f", calm), { maxWaitMs: 100 });
    await next.until(() => next.batches.length > 0);
    await schema.sql("DROP TABLE t2");
    expect(await next.ended).toMatchObject({ code: "CHANGES_LOST" });
  });

  it("says what hinders, with the way out, and breaks no UPDATE of the application", async () => {
    const schema =
      await scratch.schema(`CREATE TABLE keyless (n int NOT NULL, v int); CREATE UNIQUE INDEX by_n ON keyless (n);
      CREATE TABLE silent (id int PRIMARY KEY); ALTER TABLE silent REPLICA IDENTITY NOTHING;
      CREATE UNLOGGED TABLE hasty (id int PRIMARY KEY); CREATE VIEW seen AS SELECT 1 AS id;
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent);
      CREATE TABLE made (n int, id int GENERATED ALWAYS AS (n + 1) STORED PRIMARY KEY); CREATE TABLE off (id int PRIMARY KEY)`);
    for (const [table, way, options] of [
      ["keyless", /REPLICA IDENTITY USING INDEX by_n/, {}],
      ["silent", /replica identity.*ALTER TABLE .*REPLICA IDENTITY/, {}],
      ["hasty", /SET LOGGED/, {}],
      ["seen", /is a view/, { key: "id" }],
      ["parent", /inherit/, {}],
      ["made", /generated/, {}],
    ] as const) {
      const endpoint = schema.endpoint(table, options);
      const error = await rejection(control.enable(endpoint, context));
      expect([table, error.code, error.message]).toEqual([table, "CHANGES_UNAVAILABLE", expect.stringMatching(way)]);
      expect(await control.status(endpoint, context), table).toMatchObject({ state: "unavailable" });
      const service = await schema.open(table, options);
      expect(service.capabilities.changes, table).toBe(table !== "seen");
      if (service.changes !== undefined) {
        expect(await rejection(service.changes.now("f", calm))).toMatchObject({ code: "CHANGES_UNAVAILABLE" });
      }
    }
    await schema.sql("INSERT INTO keyless VALUES (1, 1); UPDATE keyless SET v = 2; DELETE FROM keyless");
    const off = await schema.open("off");
    expect(await rejection(off.changes!.now("f", calm))).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/changes enable.*CREATE PUBLICATION/),
    });
    expect(await scratch.sql(`SELECT count(*) FROM pg_publication_tables WHERE schemaname = '${schema.name}'`)).toEqual(
      [["0"]],
    );
  });

  it("asks for the rights that it needs", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const role = `${schema.name}_r`;
    await scratch.sql(`CREATE ROLE "${role}" LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA "${schema.name}" TO "${role}";
      GRANT SELECT ON "${schema.name}".t TO "${role}"`);
    afterAll(() => scratch.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`).catch(() => {}));
    const endpoint = schema.endpoint("t", { username: role, password: "x" });
    expect(await rejection(control.enable(endpoint, context))).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/ALTER ROLE .* REPLICATION/),
    });
    await control.enable(schema.endpoint("t"), context);
    cleanUp(() => control.disable(schema.endpoint("t"), context));
    const service = await openEndpoint(endpoint);
    cleanUp(() => service.close());
    expect(await rejection(service.changes!.now("f", calm))).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/REPLICATION/),
    });
    await scratch.sql(`ALTER ROLE "${role}" REPLICATION`);
    const reader = new Reader(service.changes!, await service.changes!.now("f", calm));
    await schema.sql("INSERT INTO t VALUES (1)");
    await reader.until(() => reader.ids.includes(1));
    await reader.stop();
    await control.disable(schema.endpoint("t"), context);
    expect(await rejection(control.enable(endpoint, context))).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/may not publish.*CREATE PUBLICATION/),
    });
  });

  it("tells how it stands, and takes away what is its own, of a dropped table too", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY); CREATE PUBLICATION theirs FOR TABLE t");
    cleanUp(() => scratch.sql("DROP PUBLICATION IF EXISTS theirs"));
    const endpoint = schema.endpoint("t");
    expect(await control.status(endpoint, context)).toMatchObject({ state: "off", kept: [] });
    const on = await control.enable(endpoint, context);
    expect(on).toMatchObject({ state: "on", warnings: [expect.stringMatching(/max_slot_wal_keep_size/)] });
    expect(await control.enable(endpoint, context)).toMatchObject({ state: "on" });
    const { changes } = await schema.open("t");
    await changes!.now("my_follow", calm);
    const start = await changes!.now("Other.follow-1", calm);
    const reader = new Reader(changes!, start, { follower: "Other.follow-1" });
    await reader.until(() => reader.batches.length > 0);
    const { kept } = await control.status(endpoint, context);
    expect(kept).toMatchObject([
      { follower: "my_follow", active: false, heldBytes: expect.any(Number) },
      { name: expect.stringMatching(/^omni_p2p_[0-9a-f]{8}_other_follow_1_[0-9a-f]{8}$/), active: true },
    ]);
    expect((await control.disable(endpoint, context, "my_follow")).kept).toHaveLength(1);
    await schema.sql("DROP TABLE t");
    await control.disable(endpoint, context);
    await control.disable(endpoint, context);
    expect(await reader.ended).toBeInstanceOf(Error);
    expect(
      await scratch.sql(
        `SELECT slot_name FROM pg_replication_slots WHERE slot_name LIKE '${kept[0]!.name.slice(0, 17)}%'`,
      ),
    ).toEqual([]);
    expect(await scratch.sql("SELECT pubname FROM pg_publication WHERE pubname = 'theirs'")).toEqual([["theirs"]]);
  });

  it("lets go of its slot when the table is gone, and names who may drop a publication of another user", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    const reader = new Reader(feed, await feed.now("f", calm), { maxWaitMs: 100 });
    const [own] = (await control.status(schema.endpoint("t"), context)).kept;
    await schema.sql("DROP TABLE t");
    expect(await reader.ended).toMatchObject({ code: "SOURCE_NOT_FOUND" });
    const slots = () => scratch.sql(`SELECT slot_name FROM pg_replication_slots WHERE slot_name = '${own!.name}'`);
    expect(await slots()).toHaveLength(1);
    await feed.release!("f", calm);
    expect(await slots()).toEqual([]);

    await followed(schema, "u");
    const role = `${schema.name}_d`;
    await scratch.sql(`CREATE ROLE "${role}" LOGIN REPLICATION PASSWORD 'x'; GRANT USAGE ON SCHEMA "${schema.name}" TO "${role}";
      GRANT SELECT ON "${schema.name}".u TO "${role}"`);
    cleanUp(() => scratch.sql(`DROP OWNED BY "${role}"; DROP ROLE "${role}"`));
    expect(
      await rejection(control.disable(schema.endpoint("u", { username: role, password: "x" }), context)),
    ).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/may not drop its publication.*DROP PUBLICATION/),
    });
  });

  it("leaves a slot alone that has the name of one of its own, and is another's", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    await feed.now("f", calm);
    const [own] = (await control.status(schema.endpoint("t"), context)).kept;
    await feed.release!("f", calm);
    const theirs = () => scratch.sql(`SELECT slot_type FROM pg_replication_slots WHERE slot_name = '${own!.name}'`);
    await scratch.sql(`SELECT pg_create_physical_replication_slot('${own!.name}')`);
    cleanUp(() => scratch.sql(`SELECT pg_drop_replication_slot('${own!.name}')`));
    for (const trial of [() => feed.now("f", calm), () => feed.release!("f", calm)]) {
      expect(await rejection(trial())).toMatchObject({
        code: "CHANGES_UNAVAILABLE",
        message: expect.stringMatching(/is not one of this library/),
      });
    }
    expect((await control.disable(schema.endpoint("t"), context)).kept).toEqual([]);
    expect(await theirs()).toEqual([["physical"]]);
  });

  it("goes on from its position when the server ends the stream, and lets one read at a time", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    const start = await feed.now("f", calm);
    const reader = new Reader(feed, start);
    await schema.sql("INSERT INTO t VALUES (1)");
    await reader.until(() => reader.ids.includes(1));
    const cursor = reader.batches.at(-1)!.cursor;
    await scratch.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL");
    expect(await reader.ended).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
    await schema.sql("INSERT INTO t VALUES (2)");
    const again = new Reader(feed, cursor);
    await again.until(() => again.ids.includes(2));
    expect(await new Reader(feed, cursor).ended).toMatchObject({ code: "BUSY", retryable: true });
  });

  it("lets go of its slot when the store is closed, though nobody has ended the reading", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    const start = await feed.now("f", calm);
    const service = await schema.open("t");
    const intervals = vi.spyOn(globalThis, "setInterval");
    cleanUp(() => intervals.mockRestore());
    const batches = service.changes!.read({ follower: "f", after: start, maxWaitMs: 50, signal: calm });
    await batches[Symbol.asyncIterator]().next();
    const reporting = intervals.mock.results.map(({ value }) => value as NodeJS.Timeout);
    expect(reporting.map(isRunning)).toEqual([true]);
    expect((await control.status(schema.endpoint("t"), context)).kept).toMatchObject([{ active: true }]);
    await service.close();
    // It would keep the process.
    expect(reporting.map(isRunning)).toEqual([false]);
    await expect
      .poll(async () => (await control.status(schema.endpoint("t"), context)).kept)
      .toMatchObject([{ active: false }]);
  });

  it("leaves no stream open that began while the store was closed", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const feed = await followed(schema, "t");
    const start = await feed.now("f", calm);
    const service = await schema.open("t");
    const batches = service.changes!.read({ follower: "f", after: start, maxWaitMs: 50, signal: calm });
    const first = rejection(batches[Symbol.asyncIterator]().next());
    // The slot is looked at, and the way to the server is long.
    const { promise: opened, resolve } = Promise.withResolvers<void>();
    const connecting = vi.spyOn(PostgresqlStore.prototype, "connectReplication").mockImplementation(async function (
      this: PostgresqlStore,
      signal,
    ) {
      connecting.mockRestore();
      const connection = await this.connectReplication(signal);
      await service.close();
      resolve();
      return connection;
    });
    await opened;
    expect(await first).toMatchObject({ code: "CLOSED" });
    expect((await control.status(schema.endpoint("t"), context)).kept).toMatchObject([{ active: false }]);
  });

  it("asks a pooler for nothing that it cannot give", async (test) => {
    const pooler = await startPgbouncer(url).catch((error: unknown) => {
      if (error instanceof ServiceUnavailableError) return undefined;
      throw error;
    });
    if (pooler === undefined) return test.skip("there is no PgBouncer");
    cleanUp(() => pooler.stop());
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    await followed(schema, "t");
    const endpoint = serverEndpoint(pooler.url, { schema: schema.name, table: "t" });
    const service = await openEndpoint(endpoint);
    cleanUp(() => service.close());
    expect(await rejection(service.changes!.now("f", calm))).toMatchObject({
      code: "CHANGES_UNAVAILABLE",
      message: expect.stringMatching(/pooler/),
    });
  });
});

/** A server with settings of its own; `undefined` where there can be none. */
async function ownServer(settings: Record<string, string>): Promise<{ readonly url: string } | undefined> {
  try {
    const service = await startService("postgresql", { settings });
    cleanUp(() => service.stop());
    return service;
  } catch (error) {
    if (error instanceof ServiceUnavailableError) return undefined;
    throw error;
  }
}

async function client(url: string): Promise<Client> {
  const made = new Client({ connectionString: url });
  made.on("error", () => {});
  await made.connect();
  cleanUp(() => made.end());
  return made;
}

/** Waits until commits are held up: the server heeds the setting a little after its sessions show it. */
async function untilHeldUp(sql: Client, other: Client): Promise<void> {
  const waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
  let isHeld = false;
  while (!isHeld) {
    let isDone = false;
    const trial = other.query("INSERT INTO junk VALUES ('')").then(() => {
      isDone = true;
    });
    // Called off, the commit is done here, and nobody waits for the standby any more.
    while (!isDone && !isHeld) isHeld = (await sql.query(waiting)).rows.length > 0;
    await trial;
  }
}

describeWithService("postgresql", "the feed of servers that are set up otherwise", () => {
  it("lets look-ups wait for a commit that a synchronous standby holds up, and loses none of it", async (test) => {
    const own = await ownServer({ max_slot_wal_keep_size: "16MB", max_wal_size: "32MB", min_wal_size: "32MB" });
    if (own === undefined) return test.skip("no server can be started");
    const [sql, other] = [await client(own.url), await client(own.url)];
    await sql.query("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE junk (t text)");
    const endpoint = serverEndpoint(own.url, { table: "t" });
    expect((await control.enable(endpoint, context)).warnings).toEqual([]);
    const service = await openEndpoint(endpoint, "source", 500);
    cleanUp(() => service.close());
    const feed = service.changes!;
    const start = await feed.now("f", calm);
    const reader = new Reader(feed, start);
    await sql.query("ALTER SYSTEM SET synchronous_standby_names = 'absent'");
    await sql.query("SELECT pg_reload_conf()");
    await untilHeldUp(sql, other);
    const inserting = other.query("INSERT INTO t VALUES (1)");
    await reader.until(() => reader.ids.includes(1));
    const { cursor } = reader.batches.find(({ refs }) => refs.length > 0)!;
    const states = async () => (await service.lookUp!([{ id: 1 }], {}, { signal: calm })).map(({ state }) => state);
    // This is what would delete, or leave stale, a record for good.
    expect(await states()).toEqual(["absent"]);
    let seen = false;
    const visible = feed.visible!(cursor, calm).then(() => {
      seen = true;
    });
    await feed.visible!(start, calm);
    const soon = AbortSignal.timeout(200);
    expect(await rejection(feed.visible!(cursor, soon))).toBe(soon.reason);
    // A new position stands before it, and a new slot waits for it.
    const later = await feed.now("f", calm);
    expect(await rejection(feed.now("g", calm))).toMatchObject({
      code: "BUSY",
      retryable: true,
      message: expect.stringMatching(/process \d+ since/),
    });
    expect([seen, await states()]).toEqual([false, ["absent"]]);
    await sql.query("ALTER SYSTEM RESET synchronous_standby_names");
    await sql.query("SELECT pg_reload_conf()");
    await visible;
    expect(await states()).toEqual(["wanted"]);
    await inserting;
    await reader.stop();
    const again = new Reader(feed, later);
    await again.until(() => again.ids.includes(1));
    await again.stop();

    // Nobody reads, and the log is removed before it was told.
    for (let n = 0; n < 4; n++) {
      await sql.query("INSERT INTO junk SELECT repeat(md5(n::text), 30) FROM generate_series(1, 16000) n");
      await sql.query("SELECT pg_switch_wal()");
      await sql.query("CHECKPOINT");
    }
    const { kept } = await control.status(endpoint, context);
    expect(kept).toMatchObject([{ follower: "f", trouble: expect.stringMatching(/removed/) }]);
    expect(await new Reader(feed, later).ended).toMatchObject({ code: "CHANGES_LOST" });
    const anew = new Reader(feed, await feed.now("f", calm));
    await sql.query("INSERT INTO t VALUES (2)");
    await anew.until(() => anew.ids.includes(2));
  });

  it("says that the log is not one for replication, or that there are no slots", async (test) => {
    const own = await ownServer({ wal_level: "replica", max_replication_slots: "1" });
    if (own === undefined) return test.skip("no server can be started");
    const sql = await client(own.url);
    await sql.query("CREATE TABLE t (id int PRIMARY KEY)");
    const endpoint = serverEndpoint(own.url, { table: "t" });
    const error = await rejection(control.enable(endpoint, context));
    expect([error.code, error.message]).toEqual([
      "CHANGES_UNAVAILABLE",
      expect.stringMatching(/wal_level is replica; ALTER SYSTEM SET wal_level = logical/),
    ]);
    expect(await control.status(endpoint, context)).toMatchObject({ state: "unavailable", kept: [] });
    const service = await openEndpoint(endpoint);
    cleanUp(() => service.close());
    expect(await rejection(service.changes!.now("f", calm))).toMatchObject({ code: "CHANGES_UNAVAILABLE" });
    expect((await sql.query("SELECT count(*)::int AS n FROM pg_publication")).rows).toEqual([{ n: 0 }]);
  });
});
