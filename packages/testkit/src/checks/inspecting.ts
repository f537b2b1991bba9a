import { type FieldMapping, type OpenContext, type P2PRecord, VALUE_TYPES } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { calm, rejection } from "../bench.ts";
import { assertSameRecords } from "../compare.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";
import { expectCode } from "./contract.ts";

const context = (role: "source" | "target"): OpenContext => ({ role, signal: calm(), connectTimeoutMs: 10_000 });

/** `inspect` and `describeMapping`, for starters that have them. */
export function inspectingChecks(suite: Suite): void {
  const { starter } = suite.adapter;

  group("inspecting", () => {
    check(suite, "inspect names the product and what is in the store", async (bench, skip) => {
      if (!starter.inspect) return skip("the starter has no inspect");
      const place = await bench.place();
      await bench.write(place, sampleRecords(3));
      const { product, collections } = await starter.inspect(place, context("source"));
      expect(product).toMatch(/\S/);
      expect(collections.length, "collections, after one was made").toBeGreaterThan(0);
      for (const { name, records, fields } of collections) {
        expect(name).toMatch(/\S/);
        if (records !== undefined) expect(records).toBeGreaterThanOrEqual(0);
        for (const field of fields ?? []) expect(field.type, `type of ${field.name}`).toBeTypeOf("string");
      }
    });

    check(suite, "inspect refuses what open refuses", async (bench, skip) => {
      if (!starter.inspect) return skip("the starter has no inspect");
      const place = await bench.place();
      const metadata = { ...place.metadata, bogusOption: "1" };
      const looking = starter.inspect({ ...place, metadata }, context("source"));
      expectCode(await rejection(looking, "inspecting with an unknown option"), "INVALID_ENDPOINT");
    });

    check(suite, "describeMapping tells of every field what becomes of it, and writes nothing", async (bench, skip) => {
      if (!starter.describeMapping) return skip("the starter has no describeMapping");
      const [fresh, used] = [await bench.place(), await bench.place()];
      const records = sampleRecords(20);
      await bench.write(used, records.slice(0, 2));
      for (const place of [fresh, used]) {
        assertDescribed(await starter.describeMapping(place, records, context("target")), records);
      }
      assertSameRecords(await bench.contents(used), records.slice(0, 2));
      if (suite.lacks.has("missing sources")) return;
      expectCode(await rejection(bench.contents(fresh), "reading what was only described"), "SOURCE_NOT_FOUND");
    });

    check(suite, "describeMapping keeps its word: what it calls lossless comes back", async (bench, skip) => {
      if (!starter.describeMapping) return skip("the starter has no describeMapping");
      const place = await bench.place();
      const records = sampleRecords(60);
      const mappings = await starter.describeMapping(place, records, context("target"));
      const kept = new Set(mappings.filter(({ lossless }) => lossless).map(({ field }) => field));
      const pick = (record: P2PRecord): P2PRecord =>
        Object.fromEntries(Object.entries(record).filter(([field]) => field === "id" || kept.has(field))) as P2PRecord;
      await bench.write(place, records);
      assertSameRecords((await bench.contents(place)).map(pick), records.map(pick));
    });
  });
}

function assertDescribed(mappings: readonly FieldMapping[], records: readonly P2PRecord[]): void {
  const fields = new Set(records.flatMap((record) => Object.keys(record)));
  const described = mappings.map(({ field }) => field);
  expect(new Set(described).size, "fields, each described once").toBe(described.length);
  for (const field of fields) expect(described).toContain(field);
  for (const { field, types, storedAs, lossless, note } of mappings) {
    expect(storedAs, `storedAs of ${field}`).toMatch(/\S/);
    for (const type of types) expect(VALUE_TYPES, `types of ${field}`).toContain(type);
    if (!lossless) expect(note, `a note on ${field}, which is not lossless`).toMatch(/\S/);
  }
}
