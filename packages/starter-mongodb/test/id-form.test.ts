import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { type P2PId, TaggedValue, valuesEqual } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { referenceAdapter } from "@omni/p2p-testkit";
import { describe, expect, it } from "vitest";
import { mongodbStarter } from "../src/index.ts";
import { comparable, idForm } from "../src/values/id-form.ts";
import { scratchCollections } from "./scratch.ts";

describe("ids that MongoDB has for one", () => {
  it.each<[P2PId, P2PId, boolean]>([
    [1, 1n, true],
    [0, -0, true],
    [1, "1", false],
    [true, "true", false],
    [new Date(0), new Date(0), true],
    [new Date(0), new Date(0).toISOString(), false],
    [new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"), "65f0c0ffee0ddba11ca7f00d", false],
    [{ a: 1 }, { a: 1 }, true],
    [{ a: 5, b: [{ c: -0 }] }, { a: 5n, b: [{ c: 0n }] }, true],
    [{ a: 0.5 }, { a: 1n }, false],
    [{ a: 5 }, { a: "5" }, false],
    [{ a: 1, b: 2 }, { b: 2, a: 1 }, false],
    [new Uint8Array([1]), "01", false],
  ])("%s and %s: %s", (a, b, same) => {
    expect(idForm(a) === idForm(b)).toBe(same);
    // What is one to MongoDB keeps the form that was there first, so the two are compared as equal.
    if (same) expect(valuesEqual(comparable({ id: a }), comparable({ id: b }))).toBe(true);
  });
});

describeWithService("mongodb", "ids of a collection that another store has for one", ({ url }) => {
  const { createEndpoint } = scratchCollections(url, "id-form");

  it("are told by the transfer and by verify, and not between two collections", async () => {
    const from = await createEndpoint();
    const to = await createEndpoint();
    await from.collection.insertMany([
      { _id: 1 as never, of: "number" },
      { _id: "1" as never, of: "text" },
      { _id: "2" as never, of: "text" },
    ]);
    const reference = referenceAdapter();
    const place = await reference.createEndpoint();
    await using manager = new DefaultP2PConnectionManager();
    manager.registerService("mongodb", mongodbStarter);
    manager.registerService(reference.starter.storageType, reference.starter);

    const folded = await manager.establish(from.endpoint, place.endpoint);
    const result = await manager.transferThroughConnection(folded.connectionId, {});
    expect(result).toMatchObject({ successCount: 3, collisions: { count: 1, ids: ["1"], share: 1 } });
    const found = await manager.verify(folded.connectionId, {});
    expect(found).toMatchObject({ equal: false, missing: 1, repeated: { source: 1, target: 0 } });
    expect(found.differences).toMatchObject([{ kind: "missing", id: "1", occurrences: { source: 2, target: 1 } }]);

    const apart = await manager.establish(from.endpoint, to.endpoint);
    expect(await manager.transferThroughConnection(apart.connectionId, {})).not.toHaveProperty("collisions");
    expect(await manager.verify(apart.connectionId, {})).toMatchObject({ equal: true, sourceCount: 3, targetCount: 3 });
  });
});
