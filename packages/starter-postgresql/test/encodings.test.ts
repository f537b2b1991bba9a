import { describeWithService } from "@omni/p2p-test-services/suite";
import { Client } from "pg";
import { expect, it } from "vitest";
import { calm, cleanUp, openEndpoint, readAll, rejection, Scratch, serverEndpoint, write } from "./support.ts";

describeWithService("postgresql", "databases that are not UTF8, and tables of many columns", ({ url }) => {
  const scratch = new Scratch(url, "encodings");

  async function database(encoding: string) {
    const name = `enc_${encoding.toLowerCase()}_${process.pid}`;
    await scratch.sql(`CREATE DATABASE ${name} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`);
    cleanUp(() => scratch.sql(`DROP DATABASE ${name} WITH (FORCE)`));
    const at = new URL(url);
    at.pathname = name;
    const client = new Client({ connectionString: at.href });
    await client.connect();
    cleanUp(() => client.end());
    const open = async (table: string, role: "source" | "target") => {
      const service = await openEndpoint(serverEndpoint(url, { table }, name), role);
      cleanUp(() => service.close());
      return service;
    };
    return { client, open };
  }

  it("fails the one record that LATIN1 has no character for, and keeps the others", async () => {
    const { client, open } = await database("LATIN1");
    await client.query("CREATE TABLE theirs (id text PRIMARY KEY, t text)");
    for (const table of ["docs", "theirs"]) {
      const target = await open(table, "target");
      const records = Array.from({ length: 100 }, (_, n) => ({ id: `ü${n}`, t: n === 50 ? "5 €" : "é" }));
      const result = await write(target, records);
      const kept = await readAll(await open(table, "source"));
      if (table === "docs" && result.failures.length === 0) expect(kept).toHaveLength(100);
      else {
        expect(result.failures, table).toMatchObject([{ index: 50, error: { code: "TYPE_MISMATCH" } }]);
        expect(kept, table).toHaveLength(99);
      }
      const found = await readAll(await open(table, "source"), { where: { t: "é" } });
      expect(found, table).toHaveLength(99);
      const source = await open(table, "source");
      const refs = [{ id: "ü1" }, { id: "€" }, { id: "none" }, { id: "5 €" }];
      const outcomes = await source.lookUp!(refs, {}, { signal: calm });
      expect(outcomes.map(({ state }) => state)).toEqual(["wanted", "absent", "absent", "absent"]);
      // A condition that cannot be sent says nothing of any record.
      const where = { where: { t: "€" } };
      for (const asked of [readAll(source, where), source.lookUp!(refs, where, { signal: calm })]) {
        expect(await rejection(asked)).toMatchObject({ code: "READ_FAILED", message: expect.stringMatching(/LATIN1/) });
      }
    }
  });

  it("keeps texts in SQL_ASCII, and gives out none that is not UTF-8 as another", async () => {
    const { client, open } = await database("SQL_ASCII");
    const target = await open("docs", "target");
    await write(target, [{ id: "ü", t: "5 €" }]);
    expect(await readAll(await open("docs", "source"))).toEqual([{ id: "ü", t: "5 €" }]);
    await client.query("CREATE TABLE old (id int PRIMARY KEY, t text)");
    await client.query(`INSERT INTO old VALUES (1, 'fine'), (2, E'caf\\351')`);
    const source = await open("old", "source");
    expect(await rejection(readAll(source))).toMatchObject({
      code: "READ_FAILED",
      message: expect.stringMatching(/invalid byte sequence.*0xe9/),
    });
  });

  it("reads and writes a table of 1,600 columns", async () => {
    const names = Array.from({ length: 1599 }, (_, n) => `c${n}`);
    const schema = await scratch.schema(
      `CREATE TABLE wide (id int PRIMARY KEY, ${names.map((name) => `${name} int`).join(", ")})`,
    );
    const target = await schema.open("wide", {}, "target");
    const records = [1, 2, 3].map((id) => ({ id, ...Object.fromEntries(names.map((name, n) => [name, n * id])) }));
    expect(await write(target, records)).toMatchObject({ written: 3, failures: [] });
    expect(await write(target, records)).toMatchObject({ written: 3, failures: [] });
    expect(await readAll(await schema.open("wide"))).toEqual(records);
    const adding = await schema.open("wide", { unknownFields: "add" }, "target");
    const { failures } = await write(adding, [{ id: 4, more: 1 }]);
    expect(failures).toMatchObject([{ index: 0, error: { message: expect.stringMatching(/more/) } }]);
    expect(await schema.sql("SELECT count(*) FROM wide")).toEqual([["3"]]);
  });
});
