import { inspect } from "node:util";
import { idKey, type P2PCondition, type P2PId, type P2PQuery, type P2PRecord } from "@omni/p2p-core/starter";
import { SAMPLE_VALUES } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import { memoryStore } from "../src/index.ts";
import { openStore, readAll, signal } from "./open.ts";

const STORE = "look-up-test";
const refs = (...ids: P2PId[]) => ids.map((id) => ({ id }));

test("a record is wanted, unwanted or absent, in the order of the ids", async () => {
  const service = await openStore(STORE, [
    { id: 1, type: "a", title: "one", size: 3 },
    { id: "two", type: "b" },
  ]);
  const query: P2PQuery = { type: "a", fields: ["title"], orderBy: "size" };
  expect(await service.lookUp!(refs("two", 3, 1, 1), query, { signal })).toEqual([
    { state: "unwanted" },
    { state: "absent" },
    { state: "wanted", record: { id: 1, title: "one" } },
    { state: "wanted", record: { id: 1, title: "one" } },
  ]);
  expect(await service.lookUp!([], query, { signal })).toEqual([]);
});

test("an id is found by its text, and comes back as the store has it", async () => {
  const at = new Date(0);
  const service = await openStore(STORE, [{ id: 1n }, { id: Uint8Array.of(255) }, { id: at }]);
  const outcomes = await service.lookUp!(refs("1", 1, "ff", at.toISOString(), 255), {}, { signal });
  expect(outcomes.map((outcome) => (outcome.state === "wanted" ? outcome.record.id : outcome.state))).toEqual([
    1n,
    1n,
    Uint8Array.of(255),
    at,
    "absent",
  ]);
});

test("what is found is a copy", async () => {
  const service = await openStore(STORE, [{ id: 1, list: [1] }]);
  const [outcome] = await service.lookUp!(refs(1), {}, { signal });
  if (outcome?.state === "wanted") (outcome.record as unknown as { list: number[] }).list.push(2);
  expect(memoryStore(STORE).get(1)).toEqual({ id: 1, list: [1] });
});

test("a part of a query wants its own records alone, also after others were deleted and added", async () => {
  const ids = Array.from({ length: 10 }, (_, id) => id);
  const service = await openStore(
    STORE,
    ids.map((id) => ({ id })),
  );
  const parts = await service.partitions({}, 3, signal);
  expect(parts).toHaveLength(3);
  memoryStore(STORE).delete(4);
  memoryStore(STORE).put({ id: 10 });
  for (const part of parts) {
    const read = (await readAll(service, part)).map(({ id }) => id);
    const outcomes = await service.lookUp!(refs(...ids, 10), part, { signal });
    expect([...ids, 10].filter((_, index) => outcomes[index]!.state === "wanted")).toEqual(read);
    expect(outcomes[4]).toEqual({ state: "absent" });
  }
});

test("what cannot be asked by id is refused", async () => {
  const service = await openStore(STORE, [{ id: 1 }]);
  const native = { sqlite: {} } as P2PQuery["native"] & {};
  for (const query of [{ limit: 1 }, { limit: 0 }, { offset: 1 }, { native }] as P2PQuery[]) {
    await expect(service.lookUp!(refs(1), query, { signal })).rejects.toMatchObject({ code: "UNSUPPORTED_QUERY" });
  }
  await expect(service.lookUp!(refs(1), { where: [] as never }, { signal })).rejects.toMatchObject({
    code: "INVALID_QUERY",
  });
});

test("an aborted signal rejects with its reason", async () => {
  const service = await openStore(STORE, [{ id: 1 }]);
  const reason = new Error("enough");
  await expect(service.lookUp!(refs(1), {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});

test("a record is wanted exactly when reading gives it: every operator with every value, on values of every kind", async () => {
  const records: P2PRecord[] = Object.values(SAMPLE_VALUES)
    .flat()
    .map((value, index) => ({ id: `r${index}`, value }));
  const service = await openStore(STORE, [...records, { id: "without" }, { id: 7 }, { id: 7n ** 30n }]);
  const all = memoryStore(STORE).records();
  for (const query of everyWhere()) {
    const read = new Set((await readAll(service, query)).map(({ id }) => idKey(id)));
    const outcomes = await service.lookUp!(all, query, { signal });
    const wanted = all.filter((_, index) => outcomes[index]!.state === "wanted").map(({ id }) => idKey(id));
    expect(new Set(wanted), inspect(query)).toEqual(read);
    expect(outcomes.filter(({ state }) => state === "unwanted")).toHaveLength(all.length - read.size);
  }
});

/** Every operator with values of every kind that a condition takes, on a field of all kinds and on the id. */
function* everyWhere(): Generator<P2PQuery> {
  const values = (["boolean", "number", "bigint", "string", "date", "bytes"] as const)
    .flatMap((type) => SAMPLE_VALUES[type].filter((value) => !Number.isNaN(value)).slice(0, 12))
    .concat(["r3", "without", 7, 7n ** 30n]);
  for (const field of ["value", "id"]) {
    const conditions: unknown[] = [
      null,
      { ne: null },
      { exists: true },
      { exists: false },
      { prefix: "" },
      { prefix: "r1" },
    ];
    for (const value of values) {
      conditions.push(value, { in: [value, null] });
      for (const operator of ["ne", "gt", "gte", "lt", "lte"]) conditions.push({ [operator]: value });
    }
    for (const condition of conditions) yield { where: { [field]: condition as P2PCondition } };
  }
}
