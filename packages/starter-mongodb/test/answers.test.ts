import { describeWithService } from "@omni/p2p-test-services/suite";
import { expect, test } from "vitest";
import { open, readBatches, scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "large documents among small ones", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "answers");

  test("come in batches that are bounded by bytes, and the server is not asked for more at a time", async () => {
    const { endpoint, collection } = await createEndpoint();
    const body = "x".repeat(3 * 1024 * 1024);
    for (let i = 0; i < 40; i++) await collection.insertOne({ n: i, ...(i % 4 === 0 ? { body } : {}) });
    const source = await open(endpoint);
    const batches = await readBatches(source, {}, { batchSize: 500, batchBytes: 4 * 1024 * 1024 });
    expect(batches.flatMap(({ records }) => records.map(({ n }) => n))).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect(Math.max(...batches.map(({ bytes }) => bytes!))).toBeLessThan(4 * 1024 * 1024);
    expect(batches.every(({ valid }) => valid)).toBe(true);
    await source.close();
  });
});
