import { collectionText, type EndpointInfo, type ListedCollection, type OpenContext } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { calm, rejection } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";
import { expectCode } from "./contract.ts";

const context = (): OpenContext => ({ role: "source", signal: calm(), connectTimeoutMs: 10_000 });

/** The catalogue of a database, for starters that have one. */
export function collectionsChecks(suite: Suite): void {
  const { collections: catalogue } = suite.adapter.starter;
  const list = async (database: EndpointInfo): Promise<readonly ListedCollection[]> =>
    (await catalogue!.list(database, context())).collections;

  group("collections", () => {
    check(suite, "a database lists what was made in it, once, and the name leads there", async (bench, skip) => {
      if (!catalogue) return skip("the starter has no catalogue");
      const place = await bench.place();
      const within = bench.databaseOf(place);
      if (!within) return skip("the adapter's test does not say in which database a place is");
      const named = ({ name }: ListedCollection) => name === within.name;
      if (!suite.lacks.has("missing sources")) {
        expect((await list(within.endpoint).catch(() => [])).filter(named), "before it was made").toEqual([]);
      }
      const records = sampleRecords(5);
      await bench.write(place, records);
      const listed = await list(within.endpoint);
      const names = listed.map((collection) => collectionText({ ...collection, visible: false }));
      expect(new Set(names).size, `names, each once: ${names.join(", ")}`).toBe(names.length);
      const [found, ...others] = listed.filter(named);
      expect(found, `${within.name} among ${names.join(", ")}`).toBeDefined();
      expect(others, "others of its name").toEqual([]);
      expect(found!.kind).toMatch(/^(table|collection|index|prefix)$/);
      expect(found!.trouble).toBeUndefined();
      if (found!.records !== undefined) expect(found!.records).toBeGreaterThanOrEqual(0);
      assertSameRecords(await bench.contents(catalogue.endpointOf(within.endpoint, found!)), records);
    });

    check(suite, "what a starter keeps beside collections is not listed", async (bench, skip) => {
      if (!catalogue) return skip("the starter has no catalogue");
      const place = await bench.place();
      const within = bench.databaseOf(place);
      if (!within) return skip("the adapter's test does not say in which database a place is");
      await bench.write(place, sampleRecords(30));
      const own = (await list(within.endpoint)).filter(({ name }) => /^_?p2p_|^sqlite_|^pg_|^system\.|^\./.test(name));
      expect(own).toEqual([]);
    });

    check(suite, "a name that is not there yet leads to an endpoint that can be written", async (bench, skip) => {
      if (!catalogue) return skip("the starter has no catalogue");
      const place = await bench.place();
      const within = bench.databaseOf(place);
      if (!within) return skip("the adapter's test does not say in which database a place is");
      const records = sampleRecords(3);
      const named = catalogue.endpointOf(within.endpoint, { name: within.name });
      await bench.write(named, records);
      assertSameRecords(await bench.contents(place), records);
    });

    check(suite, "a catalogue refuses what open refuses", async (bench, skip) => {
      if (!catalogue) return skip("the starter has no catalogue");
      const place = await bench.place();
      const { endpoint } =
        bench.databaseOf(place) ?? skip("the adapter's test does not say in which database a place is");
      const wrong = { ...endpoint, metadata: { ...endpoint.metadata, bogusOption: "1" } };
      expectCode(
        await rejection(catalogue.list(wrong, context()), "listing with an unknown option"),
        "INVALID_ENDPOINT",
      );
      expectCode(
        await rejection(
          (async () => catalogue.endpointOf(wrong, { name: "docs" }))(),
          "naming a collection with an unknown option",
        ),
        "INVALID_ENDPOINT",
      );
    });
  });
}
