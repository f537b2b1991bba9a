import type { P2PQuery } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, it } from "vitest";
import { calm, readAll, readBatches, Scratch } from "./support.ts";

describeWithService("postgresql", "reading", (server) => {
  const scratch = new Scratch(server.url, "read");
  it("reads a table in pages", async () => {
    const schema = await scratch.schema(
      "CREATE TABLE t (id int PRIMARY KEY, name text, n numeric(10,2), at timestamptz); INSERT INTO t SELECT i, 'n' || i, i / 4.0, '2020-01-01Z'::timestamptz + i * '1 s'::interval FROM generate_series(1, 10000) i",
    );
    const service = await schema.open("t");
    const batches = await readBatches(service, {}, { batchSize: 777 });
    const records = batches.flatMap((batch) => batch.records);
    expect(records.length).toBe(10000);
    expect(records[41]).toEqual({ id: 42, name: "n42", n: 10.5, at: new Date(Date.UTC(2020, 0, 1, 0, 0, 42)) });
    expect(new Set(records.map(({ id }) => id)).size).toBe(10000);
    const rest = await readAll(service, {}, { after: batches[2]!.cursor });
    expect(rest.map(({ id }) => id)).toEqual(records.slice(777 * 3).map(({ id }) => id));
    const query: P2PQuery = { where: { n: { gte: 10, lt: 20 }, name: { prefix: "n4" } } };
    expect((await readAll(service, query)).map(({ id }) => id)).toEqual([40, 41, 42, 43, 44, 45, 46, 47, 48, 49]);
    expect(await service.count(query, calm)).toBe(10);
    const parts = await service.partitions({}, 4, calm);
    expect(parts.length).toBe(4);
    const counts = await Promise.all(parts.map((part) => service.count(part, calm)));
    expect(counts).toEqual([2500, 2500, 2500, 2500]);
  });
});
