import { parseEndpoint } from "@omni/p2p-core";
import { expect, it } from "vitest";
import { dropMemoryStore, memoryStarter, memoryStore } from "../src/index.ts";

it("an open store that is dropped and made anew is the new one, in what it reads as in its identity", async () => {
  const { signal } = new AbortController();
  const context = { role: "source", signal, connectTimeoutMs: 1000 } as const;
  memoryStore("replaced").put({ id: "old" });
  const service = await memoryStarter.open(parseEndpoint("memory:replaced"), context);
  const before = await service.identity(signal);
  dropMemoryStore("replaced");
  await expect(service.lookUp!([{ id: "old" }], {}, { signal })).rejects.toMatchObject({ code: "SOURCE_NOT_FOUND" });
  memoryStore("replaced").put({ id: "new" });
  expect(await service.identity(signal)).not.toEqual(before);
  const outcomes = await service.lookUp!([{ id: "old" }, { id: "new" }], {}, { signal });
  expect(outcomes.map(({ state }) => state)).toEqual(["absent", "wanted"]);
  expect(await service.count({}, signal)).toBe(1);
  dropMemoryStore("replaced");
});
