import { type EndpointInput, parseEndpoint } from "@omni/p2p-core/starter";
import { describe, expect, it } from "vitest";
import { parsePostgresqlEndpoint, tableNameText } from "../src/endpoint.ts";

const parse = (
  input: EndpointInput,
  role: "source" | "target" = "source",
  env: Record<string, string> = { PGUSER: "me" },
) => parsePostgresqlEndpoint(parseEndpoint(input), role, env);

describe("an endpoint of PostgreSQL", () => {
  it("says where to connect to, as whom, and to what", () => {
    expect(parse("postgres://al:p%40ss@db.example:6432/app?table=docs&sslmode=require")).toMatchObject({
      label: "postgresql://db.example:6432/app",
      hosts: [{ host: "db.example", port: 6432 }],
      user: "al",
      password: "p@ss",
      database: "app",
      table: { schema: undefined, name: "docs" },
      tls: { mode: "require", direct: false },
      sessionKind: "any",
    });
    expect(parse("postgresql://db/app", "target").sessionKind).toBe("read-write");
    expect(parse("postgresql://db").database).toBe("me");
    expect(parse("postgresql://db").label).toBe("postgresql://db");
  });

  it("takes what is left open from libpq's variables", () => {
    const env = {
      PGHOST: "h1,h2",
      PGPORT: "1,2",
      PGUSER: "al",
      PGPASSWORD: "secret",
      PGDATABASE: "app",
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: "/ca.pem",
      PGPASSFILE: "/pw",
      PGAPPNAME: "name",
      PGCONNECT_TIMEOUT: "3",
      PGOPTIONS: "-c work_mem=1MB",
      PGTARGETSESSIONATTRS: "standby",
    };
    expect(parse({ storageType: "postgresql" }, "source", env)).toMatchObject({
      hosts: [
        { host: "h1", port: 1 },
        { host: "h2", port: 2 },
      ],
      user: "al",
      password: "secret",
      database: "app",
      passwordFile: "/pw",
      tls: { mode: "verify-full", rootCert: "/ca.pem" },
      applicationName: "name",
      hostTimeoutMs: 3000,
      settings: "-c work_mem=1MB",
      sessionKind: "standby",
    });
    expect(parse("postgresql://x/y?sslmode=disable", "source", env)).toMatchObject({
      hosts: [{ host: "x", port: 5432 }],
      tls: { mode: "disable" },
      database: "y",
    });
    expect(parse({ storageType: "postgresql", metadata: { sslrootcert: "system" } }).tls.mode).toBe("verify-full");
  });

  it("knows Unix sockets", () => {
    expect(parse("postgresql://%2Fvar%2Frun%2Fpg/app").hosts).toEqual([{ host: "/var/run/pg", port: 5432 }]);
    expect(parse("postgresql:///app?host=/var/run/pg")).toMatchObject({
      hosts: [{ host: "/var/run/pg", port: 5432 }],
      label: "postgresql:app",
    });
    expect(parse("postgresql:///app?host=::1,fe80::2").hosts).toEqual([
      { host: "::1", port: 5432 },
      { host: "fe80::2", port: 5432 },
    ]);
  });

  it("knows several hosts", () => {
    expect(parse("postgresql://a:1,b:2,[::1]:3/app").hosts).toEqual([
      { host: "a", port: 1 },
      { host: "b", port: 2 },
      { host: "::1", port: 3 },
    ]);
  });

  it("takes names of tables apart as SQL does", () => {
    const table = (text: string) => parse({ storageType: "postgresql", metadata: { table: text } }).table;
    expect(table("docs")).toEqual({ schema: undefined, name: "docs" });
    expect(table("public.docs")).toEqual({ schema: "public", name: "docs" });
    expect(table('"Odd.Name"')).toEqual({ schema: undefined, name: "Odd.Name" });
    expect(table('"a ""b"""."c"')).toEqual({ schema: 'a "b"', name: "c" });
    expect(table("select")).toEqual({ schema: undefined, name: "select" });
    for (const bad of ["", "a.b.c", "a.", ".a", '"a', 'a"b', '""'])
      expect(() => table(bad), bad).toThrow(/option "table"/);
    for (const text of ["docs", "public.docs", '"Odd.Name"', '"a ""b"""."c.d"']) {
      expect(table(tableNameText(table(text)!)), text).toEqual(table(text));
    }
    const keys = (key: string) => parse({ storageType: "postgresql", metadata: { key } }).key;
    expect(keys('a, "b,c"')).toEqual(["a", "b,c"]);
    expect(() => keys("a,a")).toThrow(/each once/);
  });

  it("refuses names and hosts of any length soon", () => {
    const started = performance.now();
    const spaces = " ".repeat(60_000);
    const refuse = (metadata: Record<string, unknown>, what: RegExp) =>
      expect(() => parse({ storageType: "postgresql", metadata })).toThrow(what);
    for (const bad of [`${spaces}x"`, `"x"${spaces}y`, `x${spaces}"`, `"${'""'.repeat(30_000)}x`, `""${spaces}`]) {
      refuse({ table: bad }, /option "table"/);
      refuse({ key: bad }, /option "key"/);
    }
    refuse({ host: `${":".repeat(60_000)}x` }, /hosts must be like/);
    expect(performance.now() - started).toBeLessThan(1000);
    expect(parse({ storageType: "postgresql", metadata: { table: '  a . "b" ' } }).table).toEqual({
      schema: "a",
      name: "b",
    });
  });

  it("refuses what cannot be meant", () => {
    const refuse = (metadata: Record<string, unknown>, what: RegExp) =>
      expect(() => parse({ storageType: "postgresql", host: "h", metadata })).toThrow(what);
    refuse({ sslmode: "maybe" }, /"sslmode" must be one of/);
    refuse({ tabel: "x" }, /did you mean "table"/);
    refuse({ table: "a.b", schema: "c" }, /option "schema" another/);
    refuse({ table: "ä".repeat(40) }, /has 80 bytes/);
    refuse({ protocol: "tls" }, /no postgresql\+tls/);
    expect(() => parse("postgresql://%2Fvar%zz/app")).toThrow(/Invalid endpoint .* write %25/);
    expect(() => parse("postgresql://h", "source", { PGUSER: "me", PGSSLMODE: "yes" })).toThrow(/PGSSLMODE/);
    expect(() =>
      parse({ storageType: "postgresql" }, "source", { PGUSER: "me", PGHOST: "a,b,c", PGPORT: "1,2" }),
    ).toThrow(/3 hosts and 2 ports/);
  });
});
