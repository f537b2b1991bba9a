import type { P2PRecord } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import type { ObjectId } from "mongodb";
import { expect, test } from "vitest";
import { calm, open, readAll, scratchCollections } from "./scratch.ts";

describeWithService("mongodb", "writing", (service) => {
  const { createEndpoint } = scratchCollections(service.url, "writing");
  const id = (text: string | number) => text as unknown as ObjectId;

  test("a record over 16 MB fails alone, whatever the mode", async () => {
    const { endpoint, collection } = await createEndpoint();
    const target = await open(endpoint, "target");
    const large = { body: "x".repeat(17 * 1024 * 1024) };
    for (const mode of ["upsert", "insert", "skip"] as const) {
      const records: P2PRecord[] = [{ id: `${mode} 1` }, { id: `${mode} 2`, ...large }, { id: `${mode} 3` }];
      const { written, failures } = await target.writeToTarget(records, { mode, signal: calm });
      expect(written).toBe(2);
      expect(failures.map(({ index, error }) => [index, error.code, error.retryable])).toEqual([
        [1, "RECORD_TOO_LARGE", false],
      ]);
    }
    expect(await collection.countDocuments()).toBe(6);
    await target.close();
  });

  test("a record just below 16 MB is written, and replaced", async () => {
    const { endpoint, collection } = await createEndpoint();
    const target = await open(endpoint, "target");
    const body = "x".repeat(16 * 1024 * 1024 - 500);
    for (const n of [1, 2]) {
      const { written } = await target.writeToTarget([{ id: "large", body, n }], { mode: "upsert", signal: calm });
      expect(written).toBe(1);
    }
    expect((await collection.findOne({ _id: id("large") }, { projection: { n: 1 } }))?.n).toBe(2);
    const [record] = await readAll(target);
    expect(record!.body).toHaveLength(body.length);
    await target.close();
  });

  test("a unique index refuses single records, named with the server's reason", async () => {
    const { endpoint, collection } = await createEndpoint();
    await collection.createIndex({ email: 1 }, { unique: true });
    await collection.insertOne({ _id: id("old"), email: "1@example.org" });
    const target = await open(endpoint, "target");
    const records = Array.from({ length: 20 }, (_, i): P2PRecord => ({ id: `r${i}`, email: `${i % 15}@example.org` }));
    for (const mode of ["upsert", "insert", "skip"] as const) {
      await collection.deleteMany({ _id: { $ne: id("old") } });
      const { written, skipped, failures } = await target.writeToTarget(records, { mode, signal: calm });
      expect(failures.map(({ index }) => index)).toEqual([1, 15, 16, 17, 18, 19]);
      expect([written, skipped]).toEqual([14, 0]);
      for (const { error } of failures) {
        expect(error.code).toBe("WRITE_FAILED");
        expect(error.message).toContain("E11000");
      }
    }
    await target.close();
  });

  test("upserts replace what is there, whether most of it is new or not", async () => {
    const { endpoint, collection } = await createEndpoint();
    const target = await open(endpoint, "target");
    const page = (from: number, n: number): P2PRecord[] =>
      Array.from({ length: 10 }, (_, i) => ({ id: from + i, n, ...(n === 0 ? { dropped: true } : {}) }));
    // New, half new, old, old, new.
    for (const [n, from] of [0, 5, 0, 5, 20].entries()) {
      const { written } = await target.writeToTarget(page(from, n), { mode: "upsert", signal: calm });
      expect(written).toBe(10);
    }
    const documents = await collection.find().sort({ _id: 1 }).toArray();
    expect(documents.map(({ n }) => n)).toEqual([...Array(5).fill(2), ...Array(10).fill(3), ...Array(10).fill(4)]);
    expect(documents.some((document) => "dropped" in document)).toBe(false);
    await target.close();
  });

  test("of one id twice in a batch the last stays, with other writers beside", async () => {
    const { endpoint, collection } = await createEndpoint();
    const target = await open(endpoint, "target");
    const batches = Array.from({ length: 8 }, (_, b) =>
      Array.from({ length: 50 }, (_, i): P2PRecord => ({ id: `${b}-${i % 25}`, i })),
    );
    const results = await Promise.all(
      batches.map((batch) => target.writeToTarget(batch, { mode: "upsert", signal: calm })),
    );
    expect(results.flatMap(({ failures }) => failures)).toEqual([]);
    const documents = await collection.find().toArray();
    expect(documents).toHaveLength(200);
    expect(documents.every(({ i }) => i >= 25)).toBe(true);
    await target.close();
  });

  test("values that are MongoDB's operators are only values", async () => {
    const { endpoint, collection } = await createEndpoint();
    const target = await open(endpoint, "target");
    await target.writeToTarget(
      [
        { id: "a", n: 1 },
        { id: "b", n: 2 },
      ],
      { mode: "upsert", signal: calm },
    );
    await target.writeToTarget([{ id: { $ne: null }, $set: { n: 5 }, q: { $gt: "" } }], {
      mode: "upsert",
      signal: calm,
    });
    expect(await collection.countDocuments({ n: { $in: [1, 2] } })).toBe(2);
    expect(await readAll(target, { where: { n: { in: ["$gt"] } } })).toEqual([]);
    expect((await readAll(target)).find(({ n }) => n === undefined)).toEqual({
      id: { $ne: null },
      $set: { n: 5 },
      q: { $gt: "" },
    });
    await target.close();
  });
});
