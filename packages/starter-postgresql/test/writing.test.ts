import { type P2PRecord, recordDigest, type WriteMode } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import type { PostgresqlStore } from "../src/client/store.ts";
import { RowPlan } from "../src/values/row-plan.ts";
import { TargetWriter } from "../src/write.ts";
import { calm, rejection, Scratch } from "./support.ts";

function writerOf(store: PostgresqlStore) {
  const writer = new TargetWriter(store);
  return {
    write: (records: readonly P2PRecord[], mode: WriteMode = "upsert") => writer.write(records, { mode, signal: calm }),
    delete: (refs: Parameters<TargetWriter["delete"]>[0]) => writer.delete(refs, { signal: calm }),
  };
}

/** The records of a table, by the plan that reading uses, in the order of their ids. */
async function contents(store: PostgresqlStore): Promise<P2PRecord[]> {
  store.forgetTable();
  const table = (await store.table(calm))!;
  const plan = new RowPlan(table, undefined, { plain: false });
  const order = table.key.columns.map(({ column }) => `"${column.name}"`).join(", ");
  const { rows } = await store.query(
    "read",
    calm,
    `SELECT ${plan.select.join(", ")} FROM "${table.schema}"."${table.name}" ORDER BY ${order}`,
  );
  return rows.map((row) => plan.record(row)!);
}

const many = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => ({ id: `r${String(from + at).padStart(6, "0")}`, n: from + at }));

describeWithService("postgresql", "writing", ({ url }) => {
  const scratch = new Scratch(url, "writing");

  it("makes a table, and columns for fields that come later", async () => {
    const store = await (await scratch.schema()).store("docs");
    const { write } = writerOf(store);
    const first = [
      {
        id: "a",
        n: 1,
        s: "x\ty\\z\nü",
        d: new Date(0),
        o: { k: [1, null] },
        b: true,
        big: 10n,
        y: new Uint8Array([1, 2]),
      },
      { id: "b", n: null, s: "", d: new Date(1), o: { k: 2 }, b: false, big: 2n ** 80n, y: new Uint8Array() },
    ];
    expect(await write(first)).toEqual({ written: 2, skipped: 0, failures: [] });
    expect(await contents(store)).toEqual(first);
    const later = [
      { id: "c", extra: "new", n: "not a number", s: "nul \0" },
      { id: "a", other: -0, nothing: null },
    ];
    expect(await write(later)).toMatchObject({ written: 2, failures: [] });
    expect(await contents(store)).toEqual([later[1], first[1], later[0]]);
  });

  for (const count of [5, 2000]) {
    it(`upserts, inserts and skips ${count} records of which some are there`, async () => {
      const store = await (await scratch.schema()).store("docs");
      const { write } = writerOf(store);
      const old = many(count).filter((_, at) => at % 3 === 0);
      expect(await write(old.map(({ id }) => ({ id, old: true })))).toMatchObject({ written: old.length });
      expect(await write(many(count), "skip")).toMatchObject({ written: count - old.length, skipped: old.length });
      const inserted = await write([...many(count), ...many(count, count)], "insert");
      expect(inserted.written).toBe(count);
      expect(inserted.failures.map(({ index }) => index)).toEqual(many(count).map((_, at) => at));
      expect(new Set(inserted.failures.map(({ error }) => error.code))).toEqual(new Set(["DUPLICATE_ID"]));
      for (let round = 0; round < 3; round++) {
        expect(await write(many(2 * count))).toEqual({ written: 2 * count, skipped: 0, failures: [] });
      }
      expect(await contents(store)).toEqual(many(2 * count));
    });
  }

  it("notices a trigger that its table got since the last batch, of new records and of known ones", async () => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write } = writerOf(store);
    await write(many(100));
    // The second one finds out that they are known, the third one copies them aside.
    for (let round = 0; round < 3; round++)
      expect(await write(many(100))).toMatchObject({ written: 100, failures: [] });
    await schema.sql(`CREATE FUNCTION drop_odd() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN IF NEW.n::int % 2 = 1 THEN RETURN NULL; END IF; RETURN NEW; END $$`);
    await schema.sql("CREATE TRIGGER odd BEFORE INSERT OR UPDATE ON docs FOR EACH ROW EXECUTE FUNCTION drop_odd()");
    const later = await write(many(200));
    expect(later.written).toBe(150);
    expect(later.failures.map(({ index }) => index)).toEqual(Array.from({ length: 50 }, (_, at) => 101 + 2 * at));
    expect(await write(many(100, 200))).toMatchObject({ written: 50 });
    expect(await schema.sql("SELECT count(*) FROM docs")).toEqual([["200"]]);
  });

  it("notices a column of another type since the last batch, and bytes that would be a value of it", async () => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write } = writerOf(store);
    await write(many(100));
    await schema.sql("ALTER TABLE docs ALTER COLUMN n TYPE bigint");
    // The eight bytes of the number 1 would be the integer 4607182418800017408.
    expect(await write(many(100, 100))).toMatchObject({ written: 100, failures: [] });
    expect(await contents(store)).toEqual(many(200));
    expect(await schema.sql("SELECT count(*) FROM docs WHERE n > 199")).toEqual([["0"]]);
  });

  it("tells a division by zero in a check as that record's error, of new records and of known ones", async () => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write } = writerOf(store);
    await write(many(100, 1));
    await schema.sql("ALTER TABLE docs ADD CHECK (1 / n < 100)");
    for (const from of [1, 1, 1, 101]) {
      const records = many(100, from).map((record, at) => (at === 5 ? { ...record, n: 0 } : record));
      const { written, failures } = await write(records);
      expect(written).toBe(99);
      expect(failures.map(({ index }) => index)).toEqual([5]);
    }
  });

  it.each(["ln(n) < 100", "n::text::int > 0", "ln(n) IS NOT NULL AND 1 / n < 100"])(
    "takes no error of a check for one of a changed table: %s",
    async (check) => {
      const schema = await scratch.schema();
      const store = await schema.store("docs");
      const { write } = writerOf(store);
      await write(many(100, 1));
      await schema.sql(`ALTER TABLE docs ADD CHECK (${check})`);
      for (const from of [1, 1, 1, 101]) {
        const records = many(100, from).map((record, at) => (at === 5 ? { ...record, n: 0 } : record));
        const { written, failures } = await write(records);
        expect(written).toBe(99);
        expect(failures.map(({ index }) => index)).toEqual([5]);
      }
    },
  );

  it.each([
    "SELECT",
    "CREATE TRIGGER noted AFTER DELETE ON docs EXECUTE FUNCTION suppress_redundant_updates_trigger()",
  ])("writes nothing twice into a table that has lost its key since the last batch: %s", async (before) => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write } = writerOf(store);
    await write(many(100));
    await schema.sql(before);
    expect(await write(many(100, 100))).toMatchObject({ written: 100, failures: [] });
    await schema.sql("ALTER TABLE docs DROP CONSTRAINT docs_pkey");
    await expect(write(many(200))).rejects.toThrow('the table "docs" has no key that names its rows');
    expect(await schema.sql("SELECT count(*) FROM docs")).toEqual([["200"]]);
  });

  it("writes a table that others refer to", async () => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write } = writerOf(store);
    await write(many(100));
    await schema.sql("CREATE TABLE notes (doc text REFERENCES docs)");
    expect(await write(many(100, 100))).toMatchObject({ written: 100, failures: [] });
    expect(await write(many(200))).toMatchObject({ written: 200, failures: [] });
    expect(await contents(store)).toEqual(many(200));
  });

  it("copies texts of every length and alphabet, and fields by the names of what objects inherit", async () => {
    for (const odd of ["plain", "toString"]) {
      const schema = await scratch.schema();
      const store = await schema.store("docs");
      const { write } = writerOf(store);
      const alphabets = ["a", "\u007f", "\u0080", "é", "中", "😀", "\u0001", "\0"];
      const records = Array.from({ length: 40 }, (_, length) =>
        alphabets.map((letter, at) => ({
          id: `${String(length).padStart(2, "0")}-${at}`,
          whole: letter.repeat(length),
          ...(at === 3 ? {} : { end: `${"x".repeat(length)}${letter}` }),
          ...(length % 7 === 3 ? {} : { [odd]: length % 5 === 0 ? null : length }),
        })),
      ).flat();
      expect(await write(records)).toMatchObject({ written: records.length, failures: [] });
      expect(await contents(store)).toEqual(records);
      // Known by now.
      for (let round = 0; round < 2; round++) await write(records);
      expect(await contents(store)).toEqual(records);
      expect(await schema.sql("SELECT count(*) FROM docs WHERE _p2p IS NULL AND whole IS NOT NULL")).not.toEqual([
        ["0"],
      ]);
    }
  });

  it("treats an id that comes twice in one batch as in two", async () => {
    for (const mode of ["upsert", "insert", "skip"] as const) {
      for (const rest of [[], many(100)]) {
        const store = await (await scratch.schema()).store("docs");
        const records = [
          { id: "a", n: 1 },
          { id: "b", n: 2 },
          ...rest,
          { id: "a", n: 3, last: true },
          { id: "a", n: 4 },
        ];
        const result = await writerOf(store).write(records, mode);
        expect(result.written).toBe(rest.length + (mode === "upsert" ? 4 : 2));
        expect(result.failures.map(({ index }) => index)).toEqual(
          mode === "insert" ? [rest.length + 2, rest.length + 3] : [],
        );
        const kept = mode === "upsert" ? { id: "a", n: 4 } : { id: "a", n: 1 };
        expect(await contents(store)).toEqual([kept, { id: "b", n: 2 }, ...rest]);
      }
    }
  });

  it("fills a table from four writers at once, each with fields of its own", async () => {
    const schema = await scratch.schema();
    const stores = await Promise.all([1, 2, 3, 4].map(() => schema.store("docs")));
    const records = (writer: number) =>
      many(300, writer * 1000).map((record) => ({ ...record, [`f${writer}`]: writer }));
    const results = await Promise.all(stores.map((store, at) => writerOf(store).write(records(at))));
    expect(results.map(({ written }) => written)).toEqual([300, 300, 300, 300]);
    expect(await contents(stores[0]!)).toEqual([0, 1, 2, 3].flatMap(records));
  });

  for (const count of [5, 100]) {
    it(`looks anew where a table of the same name has taken the place of the one that it knew: ${count} records`, async () => {
      const schema = await scratch.schema();
      const store = await schema.store("docs");
      const { write } = writerOf(store);
      await write(many(count));
      await schema.sql(
        "ALTER TABLE docs RENAME TO old; CREATE TABLE docs (LIKE old INCLUDING ALL, x float8); INSERT INTO docs VALUES ('r000000', 1, NULL, 5)",
      );
      expect(await write(many(count))).toMatchObject({ written: count, failures: [] });
      expect(await contents(store)).toEqual(many(count));
      // Not one of ours any more, with a rule of its own.
      await schema.sql(
        "ALTER TABLE docs RENAME TO older; CREATE TABLE docs (id text PRIMARY KEY, n float8 CHECK (n <> 3), _p2p text DEFAULT 'theirs')",
      );
      const { failures } = await write(many(count));
      expect(failures.map(({ index }) => index)).toEqual([3]);
      expect(await schema.sql("SELECT count(*) FROM docs WHERE _p2p = 'theirs'")).toEqual([[String(count - 1)]]);
    });
  }

  it("keeps fields beyond the columns that a row can have", async () => {
    const store = await (await scratch.schema()).store("docs");
    const wide = Object.fromEntries(Array.from({ length: 2000 }, (_, at) => [`f${at}`, `value ${at} of some length`]));
    const record = { id: "wide", ...wide, ctid: "c", _p2p: "s", ["x".repeat(70)]: "long" };
    expect(await writerOf(store).write([record])).toMatchObject({ written: 1, failures: [] });
    expect(await contents(store)).toEqual([record]);
    expect(await writerOf(store).write([record, { id: "next", later: 1 }])).toMatchObject({ written: 2, failures: [] });
    expect(await contents(store)).toEqual([{ id: "next", later: 1 }, record]);
  });

  it("deletes records, compares digests, and tells of refs that come twice", async () => {
    const store = await (await scratch.schema()).store("docs");
    const target = writerOf(store);
    await target.write(many(1000));
    const digest = recordDigest({ id: "r000001", n: 1 });
    expect(
      await target.delete([
        { id: "r000000" },
        { id: "none" },
        { id: "r000001", expected: digest },
        { id: "r000002", expected: digest },
        { id: "r000000" },
      ]),
    ).toEqual({ deleted: 2, absent: 2, changed: [3], failures: [] });
    expect(await contents(store)).toEqual(many(1000).filter((_, at) => at > 1));
    const refs = many(1000).map((record) => ({ id: record.id, expected: recordDigest(record) }));
    expect(await target.delete(refs)).toEqual({ deleted: 998, absent: 2, changed: [], failures: [] });
  });

  it("deletes no record that has got a value in a column that came after the table was looked at", async () => {
    const schema = await scratch.schema();
    const store = await schema.store("docs");
    const { write, delete: remove } = writerOf(store);
    const [one, other] = many(2);
    await write([one!, other!]);
    await schema.sql("ALTER TABLE docs ADD COLUMN x float8; UPDATE docs SET x = 5 WHERE id = 'r000001'");
    const refs = [one!, other!].map((record) => ({ id: record.id, expected: recordDigest(record) }));
    expect(await remove(refs)).toEqual({ deleted: 1, absent: 0, changed: [1], failures: [] });
    expect(await contents(store)).toEqual([{ ...other, x: 5 }]);
  });

  it("deletes no record of a table of others where a column came, or another type, after it was looked at", async () => {
    for (const [change, left] of [
      ["ADD COLUMN x float8", { id: "r000001", n: 1, x: 5 }],
      ["ALTER COLUMN n TYPE text USING CASE n WHEN 1 THEN '5' ELSE n::text END", { id: "r000001", n: "5" }],
    ] as const) {
      const schema = await scratch.schema("CREATE TABLE theirs (id text PRIMARY KEY, n float8)");
      const store = await schema.store("theirs");
      const { write, delete: remove } = writerOf(store);
      const records = many(2);
      await write(records);
      await schema.sql(`ALTER TABLE theirs ${change}`);
      if ("x" in left) await schema.sql("UPDATE theirs SET x = 5 WHERE id = 'r000001'");
      const refs = records.map((record) => ({ id: record.id, expected: recordDigest(record) }));
      const result = await remove(refs);
      expect(result.changed, change).toContain(1);
      expect(await schema.sql("SELECT count(*) FROM theirs WHERE id = 'r000001'")).toEqual([["1"]]);
    }
  });

  it("fails the one record whose bytes are more than a text can be", async () => {
    const { write } = writerOf(await (await scratch.schema()).store("docs"));
    const records = [{ id: "a" }, { id: "b", b: new Uint8Array(270 * 2 ** 20) }, { id: "c" }];
    const { written, failures } = await write(records);
    expect([written, failures]).toMatchObject([2, [{ index: 1, error: { code: "RECORD_TOO_LARGE" } }]]);
  });

  it("moves the sequences of identity and serial columns behind what it wrote, and never back", async () => {
    const schema = await scratch.schema(`CREATE TABLE serial_one (id serial PRIMARY KEY, v text);
      CREATE TABLE "Always" (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
      CREATE TABLE beside (id text PRIMARY KEY, "No" int GENERATED BY DEFAULT AS IDENTITY, v text CHECK (v <> 'bad'));
      CREATE TABLE fresh (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY)`);
    const next = async (table: string, column = "id") =>
      Number(
        (await schema.sql(`INSERT INTO ${table} DEFAULT VALUES RETURNING "${column}"`).catch(() => [["NaN"]]))[0]![0],
      );
    for (const table of ["serial_one", '"Always"']) {
      const { write } = writerOf(await schema.store(table));
      const records = (from: number, count: number) =>
        Array.from({ length: count }, (_, n) => ({ id: from + n, v: "x" }));
      await Promise.all([write(records(1, 100)), write(records(101, 100)), write(records(201, 5))]);
      expect(await next(table), table).toBe(206);
      await write(records(150, 10));
      expect(await next(table), table).toBe(207);
      // The last number that there is would leave none for anybody.
      await write([{ id: 2_147_483_647, v: "x" }]);
      if (table === "serial_one") expect(await next(table), table).toBe(208);
    }
    const beside = writerOf(await schema.store("beside"));
    const result = await beside.write([
      { id: "a", No: 7, v: "x" },
      { id: "b", No: 900, v: "bad" },
    ]);
    expect(result.failures).toHaveLength(1);
    expect(await schema.sql(`INSERT INTO beside (id) VALUES ('c') RETURNING "No"`)).toEqual([["8"]]);
    await writerOf(await schema.store("fresh")).write([{ id: 1 }]);
    expect(await next("fresh")).toBe(2);
    // A copy of such a table can be written to as well.
    const source = await schema.open("serial_one");
    const copy = await schema.open("copied", {}, "target");
    await copy.writeToTarget([{ id: 50, v: "x" }], {
      mode: "upsert",
      signal: calm,
      schema: (await source.schema!({}, calm))!,
    });
    expect(await schema.sql("INSERT INTO copied (id, v) VALUES (51, 'y') RETURNING id")).toEqual([["51"]]);
  });

  it("leaves a sequence that counts by steps to numbers of its own", async () => {
    const schema =
      await scratch.schema(`CREATE TABLE odd (id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 2 START 1) PRIMARY KEY);
      CREATE TABLE wide (id bigint GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 10 MINVALUE -9223372036854775808 START -9223372036854775808) PRIMARY KEY)`);
    const next = async (table: string) => (await schema.sql(`INSERT INTO ${table} DEFAULT VALUES RETURNING id`))[0]![0];
    const odd = writerOf(await schema.store("odd"));
    for (const [written, expected] of [
      [[1], "3"],
      [[4, 100], "101"],
      [[102], "103"],
      [[105], "107"],
      [[50], "109"],
    ] as const) {
      await odd.write(written.map((id) => ({ id })));
      expect([written, await next("odd")]).toEqual([written, expected]);
    }
    await writerOf(await schema.store("wide")).write([{ id: 9_223_372_036_854_775_000n }]);
    expect(await next("wide")).toBe("9223372036854775002");
  });

  it("tells of a schema that is not there, and makes no table where it may not", async () => {
    const schema = await scratch.schema();
    const nowhere = await schema.store("docs", { schema: "no_such_schema" });
    expect(await rejection(writerOf(nowhere).write(many(1)))).toMatchObject({
      code: "TARGET_NOT_WRITABLE",
      message: expect.stringContaining("CREATE SCHEMA"),
    });
    const never = await schema.store("docs", { create: "never" });
    expect(await rejection(writerOf(never).write(many(1)))).toMatchObject({ code: "TARGET_NOT_WRITABLE" });
  });
});
