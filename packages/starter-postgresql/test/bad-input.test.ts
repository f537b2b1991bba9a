import type { OpenContext, P2PError } from "@omni/p2p-core/starter";
import { startService } from "@omni/p2p-test-services";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { postgresqlStarter } from "../src/index.ts";
import {
  calm,
  cleanUp,
  openEndpoint,
  readAll,
  rejection,
  Scratch,
  type ScratchSchema,
  serverEndpoint,
  write,
} from "./support.ts";

describeWithService("postgresql", "bad input", ({ url }) => {
  const scratch = new Scratch(url, "bad");
  let roles = 0;

  const refusal = async (
    schema: ScratchSchema,
    table: string | undefined,
    options: Record<string, unknown> = {},
    role: OpenContext["role"] = "source",
  ): Promise<P2PError> => {
    const error = await rejection(schema.open(table, options, role));
    expect(error.message).not.toMatch(/secret/);
    return error;
  };

  /** A role that may log in, with the rights given; gone after the test. */
  const roleWith = async (schema: ScratchSchema, grants: string) => {
    const name = `p2p_bad_${process.pid}_${++roles}`;
    await schema.sql(`CREATE ROLE ${name} LOGIN PASSWORD 'secret'; ${grants.replaceAll("ROLE", name)}`);
    cleanUp(() => schema.sql(`DROP OWNED BY ${name}; DROP ROLE ${name}`));
    return { username: name, password: "secret" };
  };

  it("names the nearest table where one is missing, and those that there are", async () => {
    const schema = await scratch.schema(
      'CREATE TABLE articles (id int PRIMARY KEY); CREATE TABLE "Users" (id int PRIMARY KEY); CREATE TABLE "a.b" (id int PRIMARY KEY)',
    );
    const missing = await refusal(schema, "artikles");
    expect([missing.code, missing.message]).toEqual([
      "SOURCE_NOT_FOUND",
      expect.stringMatching(/There is no table .*artikles in .* \(did you mean "articles"\?\); there are .*Users/),
    ]);
    const noSchema = await refusal(schema, "x", { schema: `${schema.name}s` });
    expect([noSchema.code, noSchema.message]).toEqual([
      "SOURCE_NOT_FOUND",
      expect.stringMatching(/no schema ".*" .*did you mean/),
    ]);
    expect((await refusal(schema, undefined)).message).toMatch(/has several tables.*option table/);
    const empty = await scratch.schema();
    expect([(await refusal(empty, undefined)).code, (await refusal(empty, "t")).code]).toEqual([
      "SOURCE_NOT_FOUND",
      "SOURCE_NOT_FOUND",
    ]);
    // The schema in capitals, as its table may be.
    const capitals = { schema: schema.name.toUpperCase() };
    expect((await refusal(schema, undefined, capitals)).message).toMatch(/has several tables.*option table/);
    await (await schema.open("ARTICLES", capitals)).close();
    // A dot in a name that was not quoted.
    const dotted = await rejection(openEndpoint(serverEndpoint(url, { table: "a.b" })));
    expect(dotted.code).toBe("SOURCE_NOT_FOUND");
  });

  it("asks for a key where nothing names the rows", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (a int, b int NOT NULL); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE d (a int UNIQUE)",
    );
    for (const [table, words] of [
      ["t", /t has no key: give it a PRIMARY KEY, or name columns .* option key/],
      ["v", /v is a view, which has no key of its own/],
      ["d", /d has no key/],
    ] as const) {
      const error = await refusal(schema, table);
      expect([error.code, error.message], table).toEqual(["INVALID_ENDPOINT", expect.stringMatching(words)]);
    }
    expect((await refusal(schema, "t", { key: "c" })).message).toMatch(/"key" names "c", which is no column of .*t/);
    expect((await refusal(schema, "t", { key: "b" })).message).toMatch(
      /not known to be unique.*ADD PRIMARY KEY \("b"\)/,
    );
    await schema.open("v", { key: "b" });
    expect((await refusal(schema, "t", {}, "target")).code).toBe("INVALID_ENDPOINT");
  });

  it("tells which right a role lacks before the first record", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY, hidden text); INSERT INTO t VALUES (1, 'x')",
    );
    const none = await refusal(schema, "t", await roleWith(schema, ""));
    expect([none.code, none.message]).toEqual([
      "AUTHENTICATION_FAILED",
      expect.stringMatching(/GRANT USAGE ON SCHEMA/),
    ]);
    const usage = `GRANT USAGE ON SCHEMA "${schema.name}" TO ROLE;`;
    const unread = await refusal(schema, "t", await roleWith(schema, usage));
    expect([unread.code, unread.message]).toEqual([
      "AUTHENTICATION_FAILED",
      expect.stringMatching(/may not read .*t; GRANT SELECT ON/),
    ]);
    const part = await refusal(schema, "t", await roleWith(schema, `${usage} GRANT SELECT (id) ON t TO ROLE`));
    expect(part.message).toMatch(/may not read the columns hidden of/);
    const reader = await roleWith(schema, `${usage} GRANT SELECT ON t TO ROLE`);
    const service = await schema.open("t", reader);
    expect(await readAll(service)).toEqual([{ id: 1, hidden: "x" }]);
    const unwritable = await refusal(schema, "t", reader, "target");
    expect([unwritable.code, unwritable.message]).toEqual([
      "TARGET_NOT_WRITABLE",
      expect.stringMatching(/may not write .*GRANT SELECT, INSERT, UPDATE, DELETE/),
    ]);
    const uncreated = await refusal(schema, "new", reader, "target");
    expect([uncreated.code, uncreated.message]).toEqual([
      "TARGET_NOT_WRITABLE",
      expect.stringMatching(/may not make tables in the schema .*GRANT CREATE/),
    ]);
  });

  it("tells at once what cannot be a target", async () => {
    const schema = await scratch.schema(
      "CREATE MATERIALIZED VIEW m AS SELECT 1 AS id; CREATE UNIQUE INDEX ON m (id); CREATE VIEW v AS SELECT count(*) AS id FROM m; CREATE TABLE t (id int PRIMARY KEY)",
    );
    const told = async (table: string, options: Record<string, unknown>, words: RegExp) => {
      const error = await refusal(schema, table, options, "target");
      expect([error.code, error.message], table).toEqual(["TARGET_NOT_WRITABLE", expect.stringMatching(words)]);
    };
    await told("m", { key: "id" }, /is a materialized view/);
    await told("v", { key: "id" }, /view that takes no rows/);
    await told("new", { create: "never" }, /option create is "never"/);
    await told("new", { schema: `${schema.name}x` }, /no schema .*CREATE SCHEMA/);
    await told("t", { options: "-c default_transaction_read_only=on" }, /read-only/);
  });

  it("reads and writes names that must be quoted", async () => {
    for (const name of [
      "select",
      "a.b",
      "UPPER",
      'with "quotes"',
      "it's",
      "ü".repeat(31),
      "x".repeat(63),
      " spaces ",
      "$1",
      "back\\slash",
    ]) {
      const schema = await scratch.schema();
      const quoted = `"${name.replaceAll('"', '""')}"`;
      await schema.sql(`CREATE TABLE ${quoted} (${quoted} int PRIMARY KEY, "or der" text)`);
      const target = await schema.open(quoted, {}, "target");
      expect(await write(target, [{ id: 1, "or der": "x" }]), name).toMatchObject({ written: 1, failures: [] });
      const source = await schema.open(quoted);
      expect(
        await readAll(source, { where: { "or der": "x" }, orderBy: [{ field: "or der", direction: "asc" }] } as never),
        name,
      ).toEqual([{ id: 1, [name]: 1, "or der": "x" }]);
    }
  });

  it("goes by the search_path where no schema is named", async () => {
    const [one, two] = [
      await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, place text); INSERT INTO t VALUES (1, 'one')"),
      await scratch.schema("CREATE TABLE t (id int PRIMARY KEY, place text); INSERT INTO t VALUES (1, 'two')"),
    ];
    const by = async (path: string) => {
      const service = await openEndpoint(serverEndpoint(url, { table: "t", options: `-c search_path=${path}` }));
      cleanUp(() => service.close());
      return (await readAll(service))[0]!.place;
    };
    expect(await by(`${two!.name},${one!.name}`)).toBe("two");
    expect(await by(`${one!.name},${two!.name}`)).toBe("one");
    expect(
      (await rejection(openEndpoint(serverEndpoint(url, { table: "t", options: "-c search_path=nowhere" }), "target")))
        .message,
    ).toMatch(/search_path/);
  });

  it("lets row-level security have its word", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY, owner text); INSERT INTO t VALUES (1, 'me'), (2, 'you'); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (owner = 'me')",
    );
    const role = await roleWith(schema, `GRANT USAGE ON SCHEMA "${schema.name}" TO ROLE; GRANT ALL ON t TO ROLE`);
    const source = await schema.open("t", role);
    expect((await readAll(source)).map(({ id }) => id)).toEqual([1]);
    const target = await schema.open("t", role, "target");
    const result = await write(target, [
      { id: 3, owner: "me" },
      { id: 4, owner: "you" },
    ]);
    expect(result.written).toBe(1);
    expect(result.failures.map(({ index, error }) => [index, error.message.match(/row-level security/)?.[0]])).toEqual([
      [1, "row-level security"],
    ]);
  });

  it("tells a statement_timeout as what it is", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1); CREATE VIEW slow AS SELECT id, pg_sleep(5)::text AS a FROM t",
    );
    const service = await schema.open("slow", { key: "id", options: "-c statement_timeout=200" });
    const error = await rejection(readAll(service));
    expect([error.code, error.retryable, error.message]).toEqual([
      "TIMEOUT",
      true,
      expect.stringMatching(/statement timeout.*statement_timeout/),
    ]);
  });

  it("loses a server that is killed in the middle, and finds it again", async () => {
    const own = await startService("postgresql", { exclusive: true });
    cleanUp(() => own.stop());
    const endpoint = serverEndpoint(own.url, { table: "t" });
    const target = await openEndpoint(endpoint, "target");
    cleanUp(() => target.close());
    const records = (from: number) =>
      Array.from({ length: 500 }, (_, at) => ({ id: from + at, text: "x".repeat(100) }));
    expect((await write(target, records(0))).written).toBe(500);
    const source = await openEndpoint(endpoint);
    cleanUp(() => source.close());
    await own.restart!(async () => {
      const read = await rejection(readAll(source));
      expect([read.code, read.retryable]).toEqual(["CONNECTION_LOST", true]);
      const written = await rejection(write(target, records(500)));
      expect([written.code, written.retryable]).toEqual(["CONNECTION_LOST", true]);
      const ping = await rejection(source.ping(calm));
      expect(ping.code).toBe("CONNECTION_LOST");
    });
    expect((await write(target, records(500))).written).toBe(500);
    expect((await readAll(source)).length).toBe(1000);
    await source.ping(calm);
  });

  it("inspects what there is, with the endpoint that leads to it", async () => {
    const schema = await scratch.schema(
      `CREATE TABLE "Odd.Name" (id int PRIMARY KEY, cost numeric(10, 2)); INSERT INTO "Odd.Name" VALUES (1), (2); ANALYZE "Odd.Name"; CREATE VIEW v AS SELECT 1 AS a;
       CREATE TABLE p (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)`,
    );
    const found = await postgresqlStarter.inspect!(schema.endpoint(), {
      role: "source",
      signal: calm,
      connectTimeoutMs: 5000,
    });
    expect(found.product).toMatch(/^PostgreSQL \d+/);
    expect(found.collections.map(({ endpoint }) => endpoint?.metadata?.table)).toEqual([
      `${schema.name}."Odd.Name"`,
      `${schema.name}.p`,
      `${schema.name}.v`,
    ]);
    expect(found.collections[0]).toMatchObject({
      records: 2,
      fields: [
        { name: "id", type: "integer", key: true },
        { name: "cost", type: "numeric(10,2)" },
      ],
    });
    const service = await openEndpoint(serverEndpoint(url, found.collections[0]!.endpoint!.metadata));
    cleanUp(() => service.close());
    expect((await readAll(service)).length).toBe(2);
  });

  it("says what an administrator may do where the user may not make the table of leases, and uses it once it is there", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const role = await roleWith(schema, `GRANT USAGE ON SCHEMA "${schema.name}" TO ROLE; GRANT ALL ON t TO ROLE`);
    const lease = { name: "search", run: "a", owner: "me", holder: "process 1", ttlMs: 60_000, renew: false };
    const target = await schema.open("t", role, "target");
    const error = await rejection(target.leases!.take(lease, calm));
    expect([error.code, error.message]).toEqual([
      "LEASE_UNAVAILABLE",
      expect.stringMatching(
        /holds no lease: .* CREATE TABLE .*"_p2p_leases" \(.*; GRANT SELECT, INSERT, UPDATE, DELETE ON/,
      ),
    ]);
    const never = await schema.open("t", { create: "never" }, "target");
    expect((await rejection(never.leases!.take(lease, calm))).message).toContain('the option create is "never"');
    const [make] = /CREATE TABLE [^;]+/.exec(error.message)!;
    await schema.sql(`${make}; GRANT SELECT, INSERT, UPDATE, DELETE ON _p2p_leases TO ${role.username}`);
    expect(await target.leases!.take(lease, calm)).toEqual({ held: true });
    expect(await never.leases!.take({ ...lease, run: "b", owner: "you" }, calm)).toMatchObject({ held: false });
    await target.leases!.release(lease, calm);
  });

  it("asks for a lease that can neither be had nor be seen no more than a few times", async () => {
    const schema = await scratch.schema("CREATE TABLE t (id int PRIMARY KEY)");
    const target = await schema.open("t", {}, "target");
    const lease = { name: "search", run: "a", owner: "me", holder: "process 1", ttlMs: 60_000, renew: false };
    await target.leases!.take(lease, calm);
    await target.leases!.release(lease, calm);
    await schema.sql(
      "CREATE FUNCTION drops() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; " +
        "CREATE TRIGGER drops BEFORE INSERT ON _p2p_leases FOR EACH ROW EXECUTE FUNCTION drops()",
    );
    expect(await rejection(target.leases!.take(lease, calm))).toMatchObject({ code: "BUSY", retryable: true });
  });
});
