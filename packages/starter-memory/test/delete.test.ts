import { type P2PRecord, recordDigest } from "@omni/p2p-core/starter";
import { expect, test } from "vitest";
import { memoryStore } from "../src/index.ts";
import { openStore, readAll, signal } from "./open.ts";

const STORE = "delete-test";

test("records are deleted by the text of their ids, absent ones are no error, and a second mention is absent", async () => {
  const service = await openStore(STORE, [{ id: 1 }, { id: 2n }, { id: Uint8Array.of(255) }, { id: "stays" }]);
  const refs = [{ id: "1" }, { id: 2 }, { id: "ff" }, { id: 1 }, { id: "nobody" }];
  expect(await service.deleteFromTarget!(refs, { signal })).toEqual({
    deleted: 3,
    absent: 2,
    changed: [],
    failures: [],
  });
  expect(await readAll(service, {})).toEqual([{ id: "stays" }]);
  expect(await service.deleteFromTarget!([], { signal })).toEqual({ deleted: 0, absent: 0, changed: [], failures: [] });
});

test("a record that is not the expected one stays, and is told by its place", async () => {
  const [same, other]: P2PRecord[] = [
    { id: 1, at: new Date(0), list: [1n, Number.NaN] },
    { id: 2, title: "as it was" },
  ];
  const service = await openStore(STORE, [same!, other!]);
  memoryStore(STORE).put({ id: 2, title: "as it is" });
  const refs = [
    { id: 9, expected: recordDigest(same!) },
    { id: 2, expected: recordDigest(other!) },
    { id: 1, expected: recordDigest(same!) },
  ];
  expect(await service.deleteFromTarget!(refs, { signal })).toEqual({
    deleted: 1,
    absent: 1,
    changed: [1],
    failures: [],
  });
  expect(await readAll(service, {})).toEqual([{ id: 2, title: "as it is" }]);
});

test("an aborted delete deletes nothing", async () => {
  const service = await openStore(STORE, [{ id: 1 }]);
  const reason = new Error("enough");
  await expect(service.deleteFromTarget!([{ id: 1 }], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(memoryStore(STORE).size).toBe(1);
});
