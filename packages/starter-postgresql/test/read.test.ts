import { idKey, type P2PQuery, type P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { describe, expect, it } from "vitest";
import { calm, readAll, readBatches, rejection, Scratch } from "./support.ts";

const ids = (records: readonly P2PRecord[]) => records.map(({ id }) => id);

describeWithService("postgresql", "reading", (server) => {
  const scratch = new Scratch(server.url, "read");

  describe("pages by the key", () => {
    it("gives every row once, in batches of any size, and goes on from each", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT i, 'n' || i FROM generate_series(1, 10000) i",
      );
      const service = await schema.open("t");
      const batches = await readBatches(service, {}, { batchSize: 777 });
      const records = batches.flatMap((batch) => batch.records);
      expect(ids(records)).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 1));
      expect(batches.every(({ records: { length }, valid, distinct }) => length <= 777 && valid && distinct)).toBe(
        true,
      );
      expect(ids(await readAll(service, {}, { after: batches[2]!.cursor }))).toEqual(ids(records.slice(777 * 3)));
      expect(ids(await readAll(service, { offset: 4500, limit: 3 }))).toEqual([4501, 4502, 4503]);
      expect(await service.count({ offset: 9995, limit: 10 }, calm)).toBe(5);
    });

    it("goes by composite keys, whichever way their columns are sorted and whatever their collation", async () => {
      const schema = await scratch.schema(`
        CREATE TABLE up (a text, b int, v int, PRIMARY KEY (a, b));
        CREATE TABLE mixed (a text NOT NULL, b int NOT NULL, c timestamptz NOT NULL, v int);
        CREATE UNIQUE INDEX ON mixed (a DESC NULLS LAST, b, c DESC);
        INSERT INTO up SELECT chr(97 + i % 7) || CASE WHEN i % 2 = 0 THEN 'X' ELSE 'x' END, i, i FROM generate_series(1, 3000) i;
        INSERT INTO mixed SELECT a, b % 5, '2020-01-01Z'::timestamptz + b * '1 us'::interval, v FROM up;
      `);
      for (const table of ["up", "mixed"]) {
        const service = await schema.open(table);
        const batches = await readBatches(service, {}, { batchSize: 640 });
        const records = batches.flatMap((batch) => batch.records);
        expect(records.map(({ v }) => v as number).sort((x, y) => x - y)).toEqual(
          Array.from({ length: 3000 }, (_, i) => i + 1),
        );
        expect(ids(await readAll(service, {}, { after: batches[1]!.cursor }))).toEqual(ids(records.slice(1280)));
        const outcomes = await service.lookUp!(
          records.map(({ id }) => ({ id })),
          {},
          { signal: calm },
        );
        expect(outcomes.map((outcome) => outcome.state === "wanted" && outcome.record)).toEqual(records);
        const parts = await service.partitions({}, 5, calm);
        const parted = await Promise.all(parts.map((part) => readAll(service, part)));
        expect(parted.flat()).toEqual(records);
        expect(Math.max(...parted.map(({ length }) => length))).toBeLessThan(700);
      }
    });

    it("bounds the bytes of what comes at a time, however large single rows are", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, body text); INSERT INTO t SELECT i, repeat('x', CASE WHEN i % 10 = 0 THEN 1000000 ELSE 10 END) FROM generate_series(1, 200) i",
      );
      const service = await schema.open("t");
      const batches = await readBatches(service, {}, { batchSize: 1000, batchBytes: 2_500_000 });
      expect(ids(batches.flatMap(({ records }) => records))).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
      expect(batches.length).toBeGreaterThan(8);
      expect(Math.max(...batches.map(({ bytes }) => bytes!))).toBeLessThan(2_600_000);
    });

    it("refuses the positions and the parts of another table", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE texts (id text PRIMARY KEY); INSERT INTO texts VALUES ('a'), ('b'), ('c'); CREATE TABLE ints (id int PRIMARY KEY); CREATE TABLE two (a int, b int, PRIMARY KEY (a, b))",
      );
      const texts = await schema.open("texts");
      const [batch] = await readBatches(texts, {}, { batchSize: 1 });
      const part = (await texts.partitions({}, 2, calm))[1]!;
      for (const table of ["ints", "two"]) {
        const other = await schema.open(table);
        const going = await rejection(readAll(other, {}, { after: batch!.cursor }));
        expect(going.code).toBe("CHECKPOINT_INVALID");
        expect((await rejection(readAll(other, part))).code).toBe("INVALID_QUERY");
        expect((await rejection(other.count(part, calm))).code).toBe("INVALID_QUERY");
      }
    });

    it("tells of a table that is dropped, made anew or altered meanwhile", async () => {
      const make =
        "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'v' FROM generate_series(1, 30000) i";
      for (const [change, code] of [
        ["DROP TABLE t", "SOURCE_NOT_FOUND"],
        [`DROP TABLE t; ${make}`, "READ_FAILED"],
        ["ALTER TABLE t ALTER COLUMN v TYPE varchar(9)", "READ_FAILED"],
        ["ALTER TABLE t DROP COLUMN v", "READ_FAILED"],
      ] as const) {
        const schema = await scratch.schema(make);
        const service = await schema.open("t");
        const error = await rejection(
          (async () => {
            let changed = false;
            for await (const { records } of service.readFromSource({}, { batchSize: 100, signal: calm })) {
              expect(records.length).toBeGreaterThan(0);
              if (!changed) await schema.sql(change);
              changed = true;
            }
          })(),
        );
        expect([change, error.code]).toEqual([change, code]);
      }
    });

    it("reads only what is asked for, and goes on after rows that a condition left out", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, a int, b text, c timestamptz); INSERT INTO t SELECT i, i, 'b' || i, now() FROM generate_series(1, 100) i",
      );
      const service = await schema.open("t");
      // Of a timestamp with microseconds SQL cannot say all.
      const query: P2PQuery = { fields: ["b"], where: { c: { ne: new Date(0) }, a: { gt: 50 } }, limit: 3 };
      expect(await readAll(service, query)).toEqual([51, 52, 53].map((id) => ({ id, b: `b${id}` })));
      expect(await service.count({ ...query, limit: 1000 }, calm)).toBe(50);
    });
  });

  describe("views and native queries", () => {
    it("reads a view by the option key, and tells of rows that have none", async () => {
      const schema = await scratch.schema(`
        CREATE TABLE t (id int PRIMARY KEY, k text); INSERT INTO t VALUES (1, 'b'), (2, 'a'), (3, NULL), (4, 'c');
        CREATE VIEW v AS SELECT id AS number, k FROM t; CREATE VIEW twice AS SELECT 'x' AS k, id FROM t;
      `);
      expect((await rejection(schema.open("v"))).code).toBe("INVALID_ENDPOINT");
      const service = await schema.open("v", { key: "k" });
      const [first, ...rest] = await readBatches(service, {}, { batchSize: 2 });
      expect(first!.failures).toHaveLength(1);
      expect([first!, ...rest].flatMap(({ records }) => records)).toEqual([
        { id: "a", k: "a", number: 2 },
        { id: "b", k: "b", number: 1 },
        { id: "c", k: "c", number: 4 },
      ]);
      expect(ids(await readAll(service, { orderBy: "number" }))).toEqual(["b", "a", "c"]);
      const twice = await schema.open("twice", { key: "k" });
      expect((await rejection(readAll(twice))).message).toMatch(/not unique/);
      expect((await rejection(readAll(twice, { orderBy: "k" }))).message).toMatch(/not unique/);
    });

    it("reads a SELECT of the user's, with conditions, orders and look-ups upon it", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, k text); INSERT INTO t SELECT i, 'k' || i FROM generate_series(1, 5000) i",
      );
      const service = await schema.open("t");
      const native = {
        postgresql: {
          sql: `SELECT k AS name, id % $1::int AS rest FROM ${schema.name}.t -- all`,
          key: "name",
          params: [7],
        },
      };
      expect(await readAll(service, { native, where: { name: { in: ["k1", "k8", "no"] } } })).toEqual([
        { id: "k1", name: "k1", rest: 1 },
        { id: "k8", name: "k8", rest: 1 },
      ]);
      expect(await service.count({ native, where: { rest: 0 } }, calm)).toBe(714);
      const batches = await readBatches(service, { native, orderBy: ["rest", "name"] }, { batchSize: 1000 });
      expect(batches.flatMap(({ records }) => records)).toHaveLength(5000);
      const rest = await readAll(service, { native, orderBy: ["rest", "name"] }, { after: batches[1]!.cursor });
      expect(rest).toHaveLength(3000);
      const refs = [{ id: "k10" }, { id: "none" }];
      expect(await service.lookUp!(refs, { native }, { signal: calm })).toEqual([
        { state: "wanted", record: { id: "k10", name: "k10", rest: 3 } },
        { state: "absent" },
      ]);
      expect(await service.partitions({ native }, 4, calm)).toHaveLength(1);
    });

    it("refuses what is no SELECT", async () => {
      const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
      const service = await schema.open("t");
      for (const sql of [
        `DELETE FROM ${schema.name}.t RETURNING id`,
        "SELECT 1 AS id) AS q; DROP TABLE t; --",
        "SELECT 1 AS other",
        "SELECT 1 AS id, 2 AS id",
        "SELEC 1",
        "",
      ]) {
        const error = await rejection(readAll(service, { native: { postgresql: { sql } } }));
        expect([sql, error.code]).toEqual([sql, "INVALID_QUERY"]);
      }
    });
  });

  it("sorts for several readers at once, and looks up beside them, however many there are", async () => {
    const schema = await scratch.schema(
      `CREATE TABLE t (id int PRIMARY KEY, v jsonb, n int); INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN to_jsonb(1000 - i) END, i FROM generate_series(1, 1000) i`,
    );
    const service = await schema.open("t");
    const reads = Array.from({ length: 20 }, async () => {
      const found: P2PRecord[] = [];
      for await (const { records } of service.readFromSource({ orderBy: "v" }, { batchSize: 100, signal: calm })) {
        found.push(...records);
        await service.lookUp!([{ id: records[0]!.id }], {}, { signal: calm });
      }
      return ids(found);
    });
    const odd = Array.from({ length: 500 }, (_, i) => 2 * i + 1);
    const even = Array.from({ length: 500 }, (_, i) => 1000 - 2 * i);
    for (const read of reads) expect(await read).toEqual([...odd, ...even]);
  });

  it("ends soon when a sorted read is left or called off, and lets the next one go on", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t SELECT i, -i FROM generate_series(1, 20000) i",
    );
    const service = await schema.open("t");
    for (let round = 0; round < 12; round++) {
      const stop = new AbortController();
      const read = async () => {
        for await (const { records } of service.readFromSource(
          { orderBy: "n" },
          { batchSize: 10, signal: stop.signal },
        )) {
          expect(records[0]!.id).toBe(20_000);
          if (round % 2 === 0) return;
          stop.abort(new Error("enough"));
        }
      };
      if (round % 2 === 0) await read();
      else expect((await rejection(read())).message).toBe("enough");
    }
  });

  describe("look-ups", () => {
    it("finds ids of every type by their texts, and says of each whether the query wants it", async () => {
      const keys = {
        int: ["5", "-1"],
        bigint: ["9223372036854775807"],
        "double precision": ["0.1", "-0", "1e300"],
        real: ["0.1"],
        numeric: ["1.50", "12345678901234567890123", "7"],
        text: ["a", "A", "5", 'x"y\\z{},', "NULL", ""],
        "char(4)": ["ab"],
        uuid: ["f0000000-0000-0000-0000-00000000000a"],
        bytea: ["\\x00ff"],
        boolean: ["t"],
        timestamptz: ["2020-01-01 00:00:00.123Z", "2020-01-01 00:00:00.123456Z", "infinity"],
        date: ["2020-01-01", "0044-03-15 BC"],
        inet: ["10.0.0.0/8", "10.0.0.1", "::1"],
        interval: ["1 day", "90 min"],
        mood: ["sad"],
      };
      for (const [type, cells] of Object.entries(keys)) {
        const values = cells.map((cell, at) => `('${cell.replaceAll("'", "''")}', ${at})`).join(", ");
        const schema = await scratch.schema(
          `CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (key ${type} PRIMARY KEY, v int); INSERT INTO t VALUES ${values}`,
        );
        const service = await schema.open("t");
        const batches = await readBatches(service);
        const records = batches.flatMap((batch) => batch.records).filter(({ id }) => id !== "");
        const asText = records.map(({ id }) => ({ id: idKey(id) }));
        for (const refs of [records.map(({ id }) => ({ id })), asText]) {
          const outcomes = await service.lookUp!([...refs, { id: "no such" }, { id: 77 }], {}, { signal: calm });
          expect([type, outcomes]).toEqual([
            type,
            [...records.map((record) => ({ state: "wanted", record })), { state: "absent" }, { state: "absent" }],
          ]);
        }
        const unwanted = await service.lookUp!(asText, { where: { v: { lt: 0 } } }, { signal: calm });
        expect(unwanted.every(({ state }) => state === "unwanted")).toBe(true);
      }
    });

    it("sees what others have changed of the table since the last one", async () => {
      const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t VALUES (1, 1)");
      const service = await schema.open("t");
      const look = async () => (await service.lookUp!([{ id: 1 }], {}, { signal: calm }))[0];
      const wanted = (record: P2PRecord) => ({ state: "wanted", record });
      expect(await look()).toEqual(wanted({ id: 1, v: 1 }));
      await schema.sql("ALTER TABLE t ADD COLUMN w text DEFAULT 'w'");
      expect(await look()).toEqual(wanted({ id: 1, v: 1, w: "w" }));
      await schema.sql("ALTER TABLE t ALTER COLUMN v TYPE text");
      expect(await look()).toEqual(wanted({ id: 1, v: "1", w: "w" }));
      await schema.sql("ALTER TABLE t DROP COLUMN w");
      expect(await look()).toEqual(wanted({ id: 1, v: "1" }));
      await schema.sql("DROP TABLE t; CREATE TABLE t (id text PRIMARY KEY, x int); INSERT INTO t VALUES ('1', 2)");
      expect(await look()).toEqual(wanted({ id: "1", x: 2 }));
      await schema.sql("DROP TABLE t");
      expect((await rejection(look())).code).toBe("SOURCE_NOT_FOUND");
    });

    it("answers ten thousand at once", async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT 2 * i, i FROM generate_series(1, 10000) i; ANALYZE t",
      );
      const service = await schema.open("t");
      const refs = Array.from({ length: 10_000 }, (_, i) => ({ id: i + 1 }));
      const outcomes = await service.lookUp!(refs, { where: { v: { gt: 1000 } } }, { signal: calm });
      const states = outcomes.map(({ state }) => state);
      expect(states.filter((state) => state === "wanted")).toHaveLength(4000);
      expect(states.filter((state) => state === "unwanted")).toHaveLength(1000);
      expect(states.filter((state) => state === "absent")).toHaveLength(5000);
    });
  });
});
