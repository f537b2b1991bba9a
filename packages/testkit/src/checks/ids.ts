import { type P2PId, TaggedValue } from "@omni/p2p-core/starter";
import { check, group, type Suite } from "../suite.ts";
import { assertRoundTrip } from "./round-trip.ts";

/** Texts that a store, a shell or a URL reads as more than a name. */
export const ID_TEXTS: readonly string[] = [
  "a:b:c",
  "a/b/../c",
  "a b",
  " a ",
  "a|b",
  "a,b",
  "a.b",
  "..",
  ".",
  "_start",
  "-dash",
  "+plus",
  "#hash",
  "?q=1&r=2",
  "100%25",
  "%",
  "*",
  "[a]",
  "{a}",
  "'",
  '"',
  "`",
  "\\",
  "\n",
  "\t",
  "\u0000",
  "\u007f",
  "A",
  "é",
  "e\u0301",
  "中文",
  "😀",
  "\u{10ffff}",
  "\ufeff",
  "null",
  "undefined",
  "true",
  "007",
  "1e3",
  "__proto__",
  "constructor",
  "_design/x",
  "$where",
  "65f0c0ffee0ddba11ca7f00d",
  "2024-01-01T00:00:00.000Z",
  "x".repeat(400),
];

/** Ids of every kind that is a single value and no text. */
export const TYPED_IDS: Readonly<Record<string, readonly P2PId[]>> = {
  "whole numbers": [0, 1, -1, 42, 2 ** 31, 2 ** 53 - 1, -(2 ** 53)],
  "broken and extreme numbers": [1.5, -0.001, 1e21, 2 ** 63, Number.MAX_VALUE, 5e-324],
  bigints: [0n, 1n, -1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 64n, 10n ** 40n],
  dates: [new Date(0), new Date(-1), new Date(1_700_000_000_123), new Date(8.64e15)],
  bytes: [Uint8Array.of(0), Uint8Array.of(1, 2, 255), new Uint8Array(30).fill(9)],
  booleans: [true, false],
  "several types": [1, "two", 3n, new Date(4), Uint8Array.of(5), 6.5, true, "-7", -8],
};

/** Law 2 for ids: any text, and every other kind of value that may name a record. */
export function idChecks(suite: Suite): void {
  group("ids", () => {
    check(suite, "law 2, round trip: ids of any text", async (bench) => {
      await assertRoundTrip(
        bench,
        ID_TEXTS.map((id, i) => ({ id, i })),
      );
    });

    check(
      suite,
      "law 2, round trip: ids of 2,000 characters",
      async (bench) => {
        await assertRoundTrip(bench, [
          { id: "x".repeat(2000), n: 1 },
          { id: `${"x".repeat(1999)}y`, n: 2 },
          { id: "长".repeat(2000), n: 3 },
        ]);
      },
      ["long ids"],
    );

    for (const [kind, ids] of Object.entries(TYPED_IDS)) {
      check(
        suite,
        `law 2, round trip: ids that are ${kind}`,
        async (bench) => assertRoundTrip(bench, [...ids.map((id, i) => ({ id, i }))]),
        ["typed ids"],
      );
    }

    check(
      suite,
      "law 2, round trip: ids that are objects and tagged values",
      async (bench) =>
        assertRoundTrip(bench, [
          { id: { region: "eu", n: 5 }, n: 1 },
          { id: { region: "eu", n: 5n }, n: 2 },
          { id: { region: "eu" }, n: 3 },
          { id: new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"), n: 4 },
          { id: new TaggedValue("testkit:key", { a: 1 }), n: 5 },
        ]),
      ["typed ids", "composite ids"],
    );
  });
}
