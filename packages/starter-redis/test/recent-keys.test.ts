import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hashKeys, type Key } from "../src/keys.ts";
import { RecentKeys } from "../src/recent-keys.ts";

const WINDOW = 16;

test("a key is known again as long as it is among the last of the window, also beside others with its hash", () => {
  const key = fc.oneof(
    fc.nat(60).map((n) => `key:${n}`),
    fc.nat(60).map((n) => Buffer.from(`key:${n}`)),
  );
  fc.assert(
    fc.property(fc.array(key, { maxLength: 200 }), fc.constantFrom(0xffff_ffff, 3), (keys, mask) => {
      const recent = new RecentKeys(WINDOW);
      const given: Key[] = [];
      const same = (a: Key, b: Key) => typeof a === typeof b && a.toString() === b.toString();
      for (const next of keys) {
        const isNew = recent.add(next, (hashKeys([next])[0]! & mask) >>> 0);
        if (given.slice(-WINDOW).some((before) => same(before, next))) expect(isNew).toBe(false);
        if (!given.some((before) => same(before, next))) expect(isNew).toBe(true);
        if (isNew) given.push(next);
      }
    }),
  );
});
