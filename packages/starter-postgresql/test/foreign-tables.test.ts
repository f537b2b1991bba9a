import { type P2PRecord, TaggedValue, type WriteMode } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { calm, readAll, rejection, Scratch, type ScratchSchema, write } from "./support.ts";

const many = (count: number, make: (n: number) => object = () => ({})) =>
  Array.from({ length: count }, (_, n) => ({ id: n, ...make(n) }) as P2PRecord);

const indexes = (result: Awaited<ReturnType<typeof write>>) => result.failures.map(({ index }) => index);

describeWithService("postgresql", "tables of others", ({ url }) => {
  const scratch = new Scratch(url, "foreign");
  const target = async (schema: ScratchSchema, table: string, options: Record<string, unknown> = {}) =>
    schema.open(table, options, "target");

  for (const mode of ["upsert", "insert", "skip"] as const satisfies readonly WriteMode[]) {
    it(`writes all but the records that the server refuses: ${mode}`, async () => {
      const schema = await scratch.schema(
        "CREATE TABLE t (id int PRIMARY KEY, n int NOT NULL CHECK (n <> 13), day date, short varchar(3), u int UNIQUE)",
      );
      const service = await target(schema, "t");
      const bad: Record<number, object> = {
        7: { n: 13 },
        100: { n: null },
        999: { n: 1, day: "2020-02-31" },
        1500: { n: 1, short: "long" },
        1501: { n: 2.5 },
        1999: { n: 1, u: 1 },
      };
      const records = many(2000, (n) => bad[n] ?? { n: 1, short: "a\\b", u: n, day: new Date(0) });
      const result = await write(service, records, mode);
      expect(indexes(result)).toEqual([7, 100, 999, 1500, 1501, 1999]);
      expect(result).toMatchObject({ written: 1994, skipped: 0 });
      for (const { error } of result.failures) expect(["TYPE_MISMATCH", "WRITE_FAILED"]).toContain(error.code);
      expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["1994"]]);
      const again = await write(service, records, mode);
      expect(again.written).toBe(mode === "upsert" ? 1994 : 0);
      expect(again.skipped).toBe(mode === "skip" ? 1994 : 0);
      expect(again.failures).toHaveLength(mode === "insert" ? 2000 : 6);
    });
  }

  it("gets on with thousands of bad records", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0))");
    const service = await target(schema, "t");
    const started = performance.now();
    const result = await write(
      service,
      many(3000, (n) => ({ n: n % 3 === 0 ? 1 : -1 })),
    );
    expect(result).toMatchObject({ written: 1000 });
    expect(result.failures).toHaveLength(2000);
    expect(performance.now() - started).toBeLessThan(30_000);
  });

  it.each(["double precision", "real"])(
    "refuses a bigint that would come back as another id: a key of %s",
    async (type) => {
      const schema = await scratch.schema(`CREATE TABLE t (id ${type} PRIMARY KEY, v int)`);
      const result = await write(await target(schema, "t"), [
        { id: 12n, v: 1 },
        { id: 2n ** 70n, v: 2 },
      ]);
      expect(result.failures).toMatchObject([{ index: 1, error: { code: "TYPE_MISMATCH" } }]);
      expect(await schema.sql("SELECT id FROM t")).toEqual([["12"]]);
    },
  );

  it("leaves columns alone that the records do not have, and mixes shapes", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 5, b text, g int GENERATED ALWAYS AS (a + 1) STORED)",
    );
    const service = await target(schema, "t");
    await write(service, [
      { id: 1, a: 1, b: "x" },
      { id: 2, b: "y" },
      { id: 3, a: null },
      { id: 1, b: "z", g: 99 },
      { id: 4 },
    ]);
    expect(await schema.sql("SELECT id, a, b, g FROM t ORDER BY id")).toEqual([
      ["1", "1", "z", "2"],
      ["2", "5", "y", "6"],
      ["3", null, null, null],
      ["4", "5", null, "6"],
    ]);
  });

  it("fails, ignores or adds fields that have no column", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, a int)");
    const failing = await write(await target(schema, "t"), [
      { id: 1, a: 1, extra: "x" },
      { id: 2, a: 2 },
    ]);
    expect(indexes(failing)).toEqual([0]);
    expect(failing.failures[0]!.error.message).toContain("unknownFields");
    const ignoring = await target(schema, "t", { unknownFields: "ignore" });
    expect(await write(ignoring, [{ id: 3, a: 1, extra: "x" }])).toMatchObject({ written: 1 });
    const adding = await target(schema, "t", { unknownFields: "add" });
    expect(
      await write(adding, [
        { id: 4, extra: "x" },
        { id: 5, more: 1.5 },
      ]),
    ).toMatchObject({ written: 2, failures: [] });
    expect(await schema.sql("SELECT id, a, extra, more FROM t ORDER BY id")).toEqual([
      ["2", "2", null, null],
      ["3", "1", null, null],
      ["4", null, "x", null],
      ["5", null, null, "1.5"],
    ]);
  });

  it("writes identity columns, composite keys, and keys of other names", async () => {
    const schema = await scratch.schema(`
      CREATE TABLE identity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, x text);
      CREATE TABLE pair (a int, b text, x int, PRIMARY KEY (b, a));
      CREATE TABLE named (code text PRIMARY KEY, id int)`);
    const identity = await target(schema, "identity");
    for (const x of ["one", "two"])
      expect(await write(identity, [{ id: 7, x }])).toMatchObject({ written: 1, failures: [] });
    expect(await write(identity, many(100))).toMatchObject({ written: 100, failures: [] });
    expect(await schema.sql("SELECT count(*), max(x) FROM identity")).toEqual([["100", "two"]]);
    const pair = await target(schema, "pair");
    const result = await write(pair, [
      { id: '["k",1]', x: 1 },
      { id: '["k",2]', a: 2, b: "k", x: 2 },
      { id: '["k",3]', a: 4, b: "k" },
      { id: "none" },
    ]);
    expect(indexes(result)).toEqual([2, 3]);
    expect(await schema.sql("SELECT a, b, x FROM pair ORDER BY a")).toEqual([
      ["1", "k", "1"],
      ["2", "k", "2"],
    ]);
    expect(
      await pair.deleteFromTarget!([{ id: '["k",1]' }, { id: '["k",9]' }, { id: "none" }], { signal: calm }),
    ).toEqual({
      deleted: 1,
      absent: 2,
      changed: [],
      failures: [],
    });
    const named = await target(schema, "named");
    expect(
      await write(named, [
        { id: "a", _id: 5 },
        { id: "b", code: "b" },
        { id: "c", code: "d" },
      ]),
    ).toMatchObject({
      written: 2,
      failures: [{ index: 2 }],
    });
    expect(await schema.sql("SELECT code, id FROM named ORDER BY code")).toEqual([
      ["a", "5"],
      ["b", null],
    ]);
  });

  it("writes partitioned tables, and tells which record has no partition", async () => {
    const schema = await scratch.schema(`
      CREATE TABLE p (id int PRIMARY KEY, x int) PARTITION BY RANGE (id);
      CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (50);
      CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (50) TO (100)`);
    const service = await target(schema, "p");
    for (let round = 0; round < 2; round++) {
      const result = await write(
        service,
        many(110, () => ({ x: round })),
      );
      expect(indexes(result)).toEqual([100, 101, 102, 103, 104, 105, 106, 107, 108, 109]);
    }
    expect(await schema.sql("SELECT count(*), sum(x) FROM p")).toEqual([["100", "100"]]);
    expect(await service.deleteFromTarget!([{ id: 3 }, { id: 60 }, { id: 100 }], { signal: calm })).toMatchObject({
      deleted: 2,
      absent: 1,
    });
  });

  it("tells of records that a trigger refuses or ignores, and counts what it puts elsewhere", async () => {
    const schema = await scratch.schema(`
      CREATE TABLE t (id int PRIMARY KEY, x int);
      CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.x = 1 THEN RAISE 'never one'; END IF;
        IF NEW.x = 2 THEN RETURN NULL; END IF;
        RETURN NEW; END $$;
      CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION judge();
      CREATE TABLE parent (id int PRIMARY KEY, x int);
      CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
      CREATE FUNCTION redirect() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN
        INSERT INTO child VALUES (NEW.*) ON CONFLICT (id) DO NOTHING; RETURN NULL; END $$;
      CREATE TRIGGER redirect BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION redirect()`);
    const service = await target(schema, "t");
    for (const mode of ["upsert", "skip", "insert"] as const) {
      await schema.sql("TRUNCATE t");
      const result = await write(
        service,
        many(200, (n) => ({ x: n === 20 ? 1 : n === 100 ? 2 : 3 })),
        mode,
      );
      expect(indexes(result), mode).toEqual([20, 100]);
      expect(result).toMatchObject({ written: 198, skipped: 0 });
      expect(result.failures[0]!.error.message).toContain("never one");
    }
    const parent = await target(schema, "parent");
    expect(
      await write(
        parent,
        many(100, () => ({ x: 1 })),
        "upsert",
      ),
    ).toMatchObject({ written: 100, failures: [] });
    expect(await schema.sql("SELECT count(*) FROM child")).toEqual([["100"]]);
  });

  for (const code of ["XY001", "45000", "20000", "42501", "42P01", "0A000", "P0999"]) {
    for (const when of code === "XY001" || code === "42501" ? ["BEFORE", "AFTER", "deferred"] : ["BEFORE"]) {
      it(`tells of the records alone that a trigger refuses by ${code}: ${when}`, async () => {
        const schema = await scratch.schema(`
          CREATE TABLE t (id int PRIMARY KEY, x int);
          CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF coalesce(NEW.x, OLD.x) = 1 THEN RAISE 'never one' USING ERRCODE = '${code}'; END IF;
            RETURN coalesce(NEW, OLD); END $$;
          CREATE ${when === "deferred" ? "CONSTRAINT TRIGGER judge AFTER" : `TRIGGER judge ${when}`} INSERT OR UPDATE OR DELETE ON t
            ${when === "deferred" ? "DEFERRABLE INITIALLY DEFERRED" : ""} FOR EACH ROW EXECUTE FUNCTION judge()`);
        const service = await target(schema, "t");
        for (const count of [10, 64]) {
          const records = many(count, (n) => ({ x: n % 7 === 3 ? 1 : 0 }));
          const bad = records.flatMap(({ x }, at) => (x === 1 ? [at] : []));
          for (const mode of ["insert", "upsert", "upsert"] as const) {
            if (mode === "insert") await schema.sql("TRUNCATE t");
            const result = await write(service, records, mode);
            expect(indexes(result), mode).toEqual(bad);
            expect(result.written).toBe(count - bad.length);
            for (const { error } of result.failures) {
              expect(error).toMatchObject({ code: "WRITE_FAILED", message: expect.stringContaining("never one") });
            }
          }
        }
        await schema.sql(
          "ALTER TABLE t DISABLE TRIGGER judge; INSERT INTO t VALUES (3, 1); ALTER TABLE t ENABLE TRIGGER judge",
        );
        const deleted = await service.deleteFromTarget!([{ id: 2 }, { id: 3 }, { id: 4 }], { signal: calm });
        expect(deleted).toMatchObject({ deleted: 2, absent: 0, failures: [{ index: 1, id: 3 }] });
      });
    }
  }

  it("tells once of a trigger that cannot run, or that raises what is to stop or repeat the batch", async () => {
    const schema = await scratch.schema(`
      CREATE TABLE t (id int PRIMARY KEY, code text);
      CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.code = 'missing' THEN INSERT INTO nowhere.log VALUES (1);
        ELSE RAISE 'as told' USING ERRCODE = NEW.code; END IF; RETURN NEW; END $$;
      CREATE TRIGGER fail BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fail()`);
    const service = await target(schema, "t");
    for (const [code, told] of [
      ["missing", "WRITE_FAILED"],
      ["40001", "BUSY"],
      ["53100", "STORAGE_FULL"],
      ["57014", "TIMEOUT"],
    ] as const) {
      for (const count of [1, 5, 100]) {
        const error = await rejection(
          write(
            service,
            many(count, () => ({ code })),
          ),
        );
        expect(error.code, code).toBe(told);
      }
    }
  });

  const names = {
    regclass: ["pg_class", "-", "nope", "nowhere.nope", "a.b.c", "a.b.c.d", "a..b"],
    regproc: ["pg_backend_pid", "-", "nope", "nowhere.nope", "abs"],
    regprocedure: ["abs(integer)", "-", "nope(integer)", "abs(nope)"],
    regoper: ["pg_catalog.||/", "0", "+", "@#@#"],
    regoperator: ["+(integer,integer)", "0", "@#@#(integer,integer)"],
    regtype: ["integer", "-", "nope", "no such type", "nowhere.nope", "a b ("],
    regconfig: ["english", "-", "nope"],
    regdictionary: ["simple", "-", "nope"],
    regnamespace: ["pg_catalog", "-", "nope"],
    regrole: ["pg_monitor", "-", "nope"],
    "regclass[]": ["{pg_class}", "{-}", "{-,nope}"],
    regcollation: ['"C"', "-", "nope"],
  };
  for (const [type, [known, none, ...unknown]] of Object.entries(names)) {
    it(`tells of the records alone whose names are not there: ${type}`, async () => {
      const schema = await scratch.schema(`
        CREATE TABLE t (id int PRIMARY KEY, r ${type});
        CREATE TABLE late (id int PRIMARY KEY DEFERRABLE, r ${type})`);
      for (const table of ["t", "late"]) {
        const service = await target(schema, table);
        for (const count of [10, 64]) {
          const values = (n: number) =>
            n % 8 === 5 ? unknown[(n >> 3) % unknown.length]! : n % 2 === 0 ? known! : none!;
          const records = many(count, (n) => ({ r: values(n) }));
          const bad = records.flatMap((_, n) => (n % 8 === 5 ? [n] : []));
          for (const mode of ["upsert", "upsert", "skip", "insert"] as const) {
            if (mode === "skip") await schema.sql(`TRUNCATE ${table}`);
            const result = await write(
              service,
              mode === "insert" ? records.map((r) => ({ ...r, id: Number(r.id) + 1000 })) : records,
              mode,
            );
            expect(indexes(result), `${type} ${table} ${mode}`).toEqual(bad);
            expect(result.written).toBe(count - bad.length);
            expect(result.failures[0]!.error.message).toContain("refused the record");
          }
        }
        expect(await schema.sql(`SELECT r FROM ${table} WHERE id = 1`), type).toEqual([[none]]);
        await schema.sql(`DROP TABLE ${table}`);
      }
    });
  }

  it("finds the records that refer to nothing, also where that is checked at the end", async () => {
    for (const deferred of ["", "DEFERRABLE INITIALLY DEFERRED"]) {
      const schema = await scratch.schema(`CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t ${deferred})`);
      const service = await target(schema, "t");
      const records = many(300, (n) => ({ up: n === 150 || n === 151 ? 9999 : n === 299 ? null : n + 1 }));
      const result = await write(service, records);
      // What refers to a record that is not there is none either.
      expect(indexes(result)).toEqual(many(152).map(({ id }) => id));
      expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["148"]]);
      expect(
        await write(
          service,
          many(152, (n) => ({ up: n + 1 })),
        ),
      ).toMatchObject({ written: 152, failures: [] });
      const refs = many(10).map(({ id }) => ({ id: (id as number) + 290 }));
      const deleted = await service.deleteFromTarget!(refs, { signal: calm });
      expect(deleted).toMatchObject({ deleted: 0, absent: 0 });
      expect(deleted.failures).toHaveLength(10);
      expect(deleted.failures.at(-1)!.error.message).toContain("refers to it");
      const some = many(300).map(({ id }) => ({ id }));
      expect(await service.deleteFromTarget!(some, { signal: calm })).toMatchObject({ deleted: 300, failures: [] });
    }
  });

  it("writes views, tables with a key that is checked late, and tables with row-level security", async () => {
    const schema = await scratch.schema(`
      CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, x int);
      CREATE TABLE base (id int PRIMARY KEY, x int, hidden int DEFAULT 1);
      CREATE VIEW v AS SELECT id, x FROM base`);
    for (const [table, options] of [
      ["t", {}],
      ["v", { key: "id" }],
    ] as const) {
      const service = await target(schema, table, options);
      expect(
        await write(
          service,
          many(50, () => ({ x: 1 })),
          "insert",
        ),
      ).toMatchObject({ written: 50, failures: [] });
      expect(
        await write(
          service,
          many(60, () => ({ x: 2 })),
          "skip",
        ),
      ).toMatchObject({ written: 10, skipped: 50 });
      expect(
        (
          await write(
            service,
            many(70, () => ({ x: 2 })),
            "insert",
          )
        ).failures,
      ).toHaveLength(60);
      expect(await write(service, [...many(80, () => ({ x: 3 })), { id: 3, x: 4 }])).toMatchObject({ written: 81 });
      expect(await schema.sql(`SELECT count(*), sum(x) FROM ${table}`)).toEqual([["80", "241"]]);
      expect(await service.deleteFromTarget!([{ id: 3 }, { id: 3 }, { id: 99 }], { signal: calm })).toEqual({
        deleted: 1,
        absent: 2,
        changed: [],
        failures: [],
      });
    }
  });

  it("makes a table like the one that the records come from", async () => {
    const schema = await scratch.schema(`
      CREATE TYPE mood AS ENUM ('sad', 'glad');
      CREATE TABLE source (a int, b varchar(5) NOT NULL DEFAULT 'x', c numeric(10,2), d date, m mood, ms mood[],
        n int GENERATED ALWAYS AS IDENTITY, s serial, g int GENERATED ALWAYS AS (a + 1) STORED, u text UNIQUE, PRIMARY KEY (b, a));
      INSERT INTO source (a, b, c, d, m, ms, u) VALUES (1, 'k', 1.50, '2020-01-01', 'sad', '{sad,glad}', 'u')`);
    const source = await schema.open("source");
    const records = await readAll(source);
    const declared = await source.schema!({}, calm);
    const service = await target(schema, "copy");
    const options = { mode: "upsert", signal: calm, schema: declared! } as const;
    expect(await service.writeToTarget(records, options)).toMatchObject({ written: 1, failures: [] });
    const described = (table: string) =>
      schema.sql(`SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity FROM pg_attribute a
        WHERE attrelid = '${table}'::regclass AND attnum > 0 ORDER BY attnum`);
    expect(await described("copy")).toEqual(await described("source"));
    expect(await service.writeToTarget(records, options)).toMatchObject({ written: 1, failures: [] });
    expect(await readAll(await schema.open("copy"))).toEqual(records);
    const [changed] = records;
    const other = await service.writeToTarget([{ ...changed!, n: 77 }], options);
    expect(other.failures[0]!.error.message).toContain("GENERATED ALWAYS");
    expect(records[0]!.d).toEqual(new TaggedValue("postgresql:date", "2020-01-01"));
  });

  it("tells of a policy that forbids a record", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, x int)");
    const role = `${schema.name}_writer`;
    await schema.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'pw'; GRANT USAGE ON SCHEMA "${schema.name}" TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON t TO ${role};
      ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (x < 10) WITH CHECK (x < 10)`);
    try {
      const service = await target(schema, "t", { username: role, password: "pw" });
      const result = await write(
        service,
        many(100, (n) => ({ x: n % 20 })),
      );
      expect(result.failures).toHaveLength(50);
      expect(result.failures[0]!.error.code).toBe("WRITE_FAILED");
      expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["50"]]);
    } finally {
      await schema.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`);
    }
  });

  it("calls off a batch that is under way, and leaves nothing of it", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, x text)");
    const service = await target(schema, "t");
    await write(service, [{ id: 1, x: "warm" }]);
    const controller = new AbortController();
    const records = many(20_000, () => ({ x: "x".repeat(500) }));
    const writing = service.writeToTarget(records, { mode: "upsert", signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 60);
    expect(await rejection(writing)).toMatchObject({ message: "enough" });
    expect(await schema.sql("SELECT count(*) FROM t")).toEqual([["1"]]);
    expect(await write(service, [{ id: 2, x: "after" }])).toMatchObject({ written: 1 });
  });
});
