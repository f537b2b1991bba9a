import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { identityOf } from "../src/client/identity.ts";
import { calm, Scratch, type ScratchSchema } from "./support.ts";

describeWithService("postgresql", "which table it is", ({ url }) => {
  const scratch = new Scratch(url, "identity");
  const identity = async (schema: ScratchSchema, table: string, options: Record<string, unknown> = {}) =>
    identityOf(await schema.store(table, options), calm);

  it("is the same however it is reached, and another for each table", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE u (id int PRIMARY KEY)");
    const t = await identity(schema, "t");
    expect(t.thing).toMatch(/^cluster \d+, database \d+, table /);
    expect(t.certain).toBeUndefined();
    expect(await identity(schema, `${schema.name}.t`, { host: "localhost", application_name: "other" })).toEqual(t);
    const u = await identity(schema, "u");
    expect(u.thing).not.toBe(t.thing);
    expect(u.incarnation).not.toBe(t.incarnation);
  });

  it("stays through writes, renaming of columns, VACUUM FULL and TRUNCATE, and changes when the table is made anew", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, a int)");
    const before = await identity(schema, "t");
    await schema.sql(
      "INSERT INTO t VALUES (1, 1); ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD COLUMN c text DEFAULT 'x'; TRUNCATE t",
    );
    expect(await identity(schema, "t")).toEqual(before);
    await schema.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY)");
    const after = await identity(schema, "t");
    expect(after.thing).toBe(before.thing);
    expect(after.incarnation).not.toBe(before.incarnation);
  });

  it("is told of a table that is not there yet, without an incarnation", async () => {
    const schema = await scratch.schema();
    const missing = await identity(schema, "t");
    expect(missing.incarnation).toBeUndefined();
    await schema.sql("CREATE TABLE t (id int PRIMARY KEY)");
    expect((await identity(schema, "t")).thing).toBe(missing.thing);
  });
});
