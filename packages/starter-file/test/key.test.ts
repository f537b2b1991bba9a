import type { P2PRecord } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { fieldsOf, givenKey, recordOf } from "../src/values/key.ts";
import { fileWith, read, temporaryFolder, transfer } from "./support.ts";

const names = fc.constantFrom("_id", "__id", "___id", "x", "Id", "ID", "constructor");
const values = fc.oneof(fc.integer(), fc.string(), fc.constant(null));
const ids = fc.oneof(fc.string({ minLength: 1 }), fc.integer());

it("a record comes back from a file with a key as it was, whatever its fields are called", () => {
  fc.assert(
    fc.property(ids, fc.dictionary(names, values), fc.boolean(), (id, fields, isCompound) => {
      const key = givenKey(isCompound ? "a,b" : "sku")!;
      const record = (
        isCompound ? { ...fields, id: JSON.stringify([id, 1]), a: id, b: 1 } : { ...fields, id, sku: id }
      ) as P2PRecord;
      expect(recordOf(fieldsOf(record, key), key, () => 0)).toEqual(record);
    }),
  );
});

it("a field _id stays what it is called in a target with a key", async () => {
  const to = `file:${temporaryFolder()}/out.ndjson`;
  const from = `file:${fileWith('{"sku":"a","_id":"65f0","x":1}\n')}?key=sku`;
  await transfer(from, `${to}?key=sku`);
  expect((await read(`${to}?key=_id`)).records).toEqual([{ id: "65f0", sku: "a", x: 1 }]);
});
