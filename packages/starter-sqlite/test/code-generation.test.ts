import type { P2PRecord } from "@omni/p2p-core/starter";
import { expect, test } from "vitest";
import { makeFits } from "../src/values/code-generation.ts";
import { at, databaseWith, open, query, readAll, recordsIn, temporaryFolder, write } from "./support.ts";

test("a record fits its fields in any order, and no others", () => {
  for (const fields of [
    ["id", "a", 'q"uo\\te\n\u2028'],
    ["id", "constructor", "__proto__"],
  ]) {
    const fits = makeFits(fields);
    const record = Object.fromEntries(fields.map((field) => [field, 1])) as unknown as P2PRecord;
    expect(fits(record)).toBe(true);
    expect(fits(Object.fromEntries(Object.entries(record).reverse()) as unknown as P2PRecord)).toBe(true);
    expect(fits({ ...record, more: 1 })).toBe(false);
    expect(fits({ id: 1, other: 1, another: 1 })).toBe(false);
    expect(fits({ id: 1 })).toBe(false);
    const { [fields[1]!]: _, ...less } = record;
    expect(fits({ ...less, more: 1 } as unknown as P2PRecord)).toBe(false);
  }
});

test("rows and records with more fields than a function is written for", async () => {
  const file = `${temporaryFolder()}/wide.db`;
  const target = await open(at(file), "target");
  const wide = (id: number): P2PRecord => {
    const fields = Array.from({ length: 900 }, (_, field) => {
      const values = [`t${id}`, field / 3, field % 2 === 0, new Date(id * field), -0, null, [field], 2n ** 60n];
      return [`f${field}`, values[field % values.length]];
    });
    return { id, ...Object.fromEntries(fields) } as P2PRecord;
  };
  const records = Array.from({ length: 40 }, (_, id) => wide(id));
  expect(await write(target, records)).toMatchObject({ written: 40, failures: [] });
  await target.close();
  expect(await recordsIn(file)).toEqual(records);
});

test("records of many shapes in one batch, each with its own fields", async () => {
  const file = `${temporaryFolder()}/shapes.db`;
  const target = await open(at(file), "target");
  const records = Array.from({ length: 300 }, (_, id) => {
    const record: Record<string, unknown> = { id };
    for (let field = 0; field < 12; field++) if ((id * 2_654_435_761) & (1 << field)) record[`f${field}`] = field * id;
    return record as unknown as P2PRecord;
  });
  expect(await write(target, records)).toMatchObject({ written: 300, failures: [] });
  // Once more, with what was learnt of the shapes, and turned round.
  const turned = records.map((record) => Object.fromEntries(Object.entries(record).reverse()) as unknown as P2PRecord);
  expect(await write(target, turned)).toMatchObject({ written: 300, failures: [] });
  await target.close();
  expect(await recordsIn(file)).toEqual(records);
});

test("a bad record among many is the only one that fails, wherever it stands", async () => {
  for (const bad of [0, 17, 31, 32, 45, 49]) {
    const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER CHECK (n < 100), body TEXT)");
    const target = await open(at(file, { table: "t" }), "target");
    const records = Array.from({ length: 50 }, (_, id) => ({ id, n: id === bad ? 100 : id, body: "b" }));
    const { written, failures } = await write(target, records);
    expect({ written, failed: failures.map(({ index }) => index) }).toEqual({ written: 49, failed: [bad] });
    expect(query(file, "SELECT count(*) AS n FROM t")).toEqual([{ n: 49 }]);
  }
});

test("large integers are exact wherever they begin and end", async () => {
  const file = databaseWith("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)", (db) => {
    const insert = db.prepare("INSERT INTO t VALUES (?, ?)");
    db.transaction(() => {
      for (let id = 0; id < 400; id++) insert.run(id, id > 50 && id < 90 ? 2n ** 60n + BigInt(id) : id);
    })();
  });
  const { records } = await readAll(await open(at(file), "source"), {}, { batchSize: 7 });
  expect(records.map(({ n }) => n)).toEqual(
    Array.from({ length: 400 }, (_, id) => (id > 50 && id < 90 ? 2n ** 60n + BigInt(id) : id)),
  );
});
