import { AWKWARD_FIELDS, assertSameRecords, everyValueType, recordsArbitrary } from "@omni/p2p-testkit";
import fc from "fast-check";
import { expect, test } from "vitest";
import { packRecords, unpackRecords } from "../src/values/packed-records.ts";

/** As another thread gets it. */
const pass = (records: Parameters<typeof packRecords>[0]) => unpackRecords(structuredClone(packRecords(records)));

test("records of any kind come out of another thread's hands as they went in", () => {
  fc.assert(
    fc.property(recordsArbitrary(), (records) => {
      assertSameRecords(pass(records), records);
    }),
  );
  assertSameRecords(pass(everyValueType()), everyValueType());
});

test("fields with awkward names, absent fields and very wide records are kept", () => {
  const awkward = AWKWARD_FIELDS.filter((field) => field !== "id").map((field, at) =>
    JSON.parse(JSON.stringify({ id: `awkward ${at}` }).replace("}", `,${JSON.stringify(field)}:"here"}`)),
  );
  const wide = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`f${at}`, at % 3 ? at : [at]]));
  const records = [...awkward, { id: 1, gone: undefined }, { id: 2, ...wide }, { id: 3, ...wide, f7: 7n }];
  const passed = pass(records);
  assertSameRecords(passed, records);
  expect(Object.keys(passed.at(-3)!)).toEqual(["id"]);
  expect(Object.keys(passed.at(-2)!)).toEqual(Object.keys(records.at(-2)!));
});

test("a view of large memory takes only its own bytes along", () => {
  const memory = new Uint8Array(1_000_000);
  const { values } = packRecords([{ id: 1, bytes: memory.subarray(10, 20) }]);
  expect((values[1] as Uint8Array).buffer.byteLength).toBe(10);
});
