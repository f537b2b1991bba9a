import { DefaultP2PConnectionManager, MemoryCheckpointStore, type TransferOptions } from "@omni/p2p-core";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { postgresqlStarter } from "../src/index.ts";
import { cleanUp, Scratch } from "./support.ts";

describeWithService("postgresql", "a transfer", ({ url }) => {
  const scratch = new Scratch(url, "transferring");

  async function connected(tables: string) {
    const schema = await scratch.schema(tables);
    const manager = new DefaultP2PConnectionManager();
    manager.registerService("postgresql", postgresqlStarter);
    cleanUp(() => manager.close());
    const connection = await manager.establish(schema.endpoint("t"), schema.endpoint("copy"));
    const checkpoint = new MemoryCheckpointStore();
    const move = (options: TransferOptions) =>
      connection.transfer({}, { transferId: "t", checkpoint, deadLetters: false, ...options });
    return { schema, connection, move };
  }

  it("makes the types that are asked for, each exactly, and verifies them", async () => {
    const { schema, connection, move } = await connected(
      `CREATE TABLE t (id int PRIMARY KEY, at text, price text);
       INSERT INTO t VALUES (1, '2024-01-31 08:15:00.123456+01', '0.1234567890123456789')`,
    );
    const as = { at: "timestamp", price: "decimal" } as const;
    expect(await move({ as })).toMatchObject({ successCount: 1, failureCount: 0 });
    expect(await schema.sql(`SELECT at AT TIME ZONE 'UTC', price FROM copy`)).toEqual([
      ["2024-01-31 07:15:00.123456", "0.1234567890123456789"],
    ]);
    expect((await connection.verify({}, { as })).equal).toBe(true);
  });

  it("reads what is new by a timestamp of milliseconds, and refuses one that where cannot compare", async () => {
    const { schema, move } = await connected(
      `CREATE TABLE t (id int PRIMARY KEY, at timestamptz(3), fine timestamptz);
       INSERT INTO t VALUES (1, '2024-01-01 10:00Z', '2024-01-01 10:00:00.000001Z'), (2, '2024-01-02 10:00Z', now())`,
    );
    expect(await move({ since: { field: "at" } })).toMatchObject({ totalRecords: 2 });
    await schema.sql("INSERT INTO t VALUES (3, '2024-01-02 09:59:30Z'), (4, '2024-01-01 11:00Z')");
    expect(await move({ since: { field: "at" } })).toMatchObject({ totalRecords: 2 });
    await expect(move({ since: { field: "fine" } })).rejects.toThrow(/timestamptz\(3\)/);
  });
});
