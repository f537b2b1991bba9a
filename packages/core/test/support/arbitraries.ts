import * as fc from "fast-check";
import { type P2PObject, type P2PValue, TaggedValue } from "../../src/index.ts";
import { setField } from "../../src/starter.ts";

/** Text from every plane, empty and with NUL, but without lone surrogates. */
export const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.constantFrom("", "\0", "é", "e\u0301", "\uff5e", "\u{1f600}", "\u{10ffff}", "$p2p", "a.b", "'\"; DROP"),
);

/** Names that break naive code. */
export const fieldName = fc.oneof(
  text,
  fc.constantFrom("__proto__", "constructor", "toString", "$p2p", "$set", "value", "type", "a.b", "", " ", "id"),
);

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    0,
    -0,
    2 ** 53 - 1,
    2 ** 53 + 2,
    5e-324,
    Number.MAX_VALUE,
  ),
);

const bigint = fc.oneof(fc.bigInt(), fc.constantFrom(0n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n), 10n ** 40n));

const date = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(new Date(-1), new Date(8.64e15), new Date(-8.64e15)),
);

/** An object with the entries as own fields, `__proto__` too. */
export function objectOf(entries: readonly (readonly [string, P2PValue | undefined])[]): P2PObject {
  const object: Record<string, unknown> = {};
  for (const [field, value] of entries) setField(object, field, value);
  return object as P2PObject;
}

/** Every value that a record may hold. */
export const value: fc.Arbitrary<P2PValue> = fc.letrec<{ value: P2PValue; object: P2PObject; leaf: P2PValue }>(
  (tie) => ({
    leaf: fc.oneof(
      fc.constant(null),
      fc.boolean(),
      number,
      bigint,
      text,
      date,
      fc.uint8Array({ maxLength: 16 }),
    ) as fc.Arbitrary<P2PValue>,
    object: fc.array(fc.tuple(fieldName, tie("value")), { maxLength: 5 }).map(objectOf),
    value: fc.oneof(
      { depthSize: "small", withCrossShrink: true },
      { arbitrary: tie("leaf"), weight: 6 },
      { arbitrary: fc.array(tie("value"), { maxLength: 5 }), weight: 1 },
      { arbitrary: tie("object"), weight: 2 },
      {
        arbitrary: fc
          .tuple(fc.constantFrom("test:thing", "mongodb:objectId", "a:"), tie("value"))
          .map(([type, inner]) => new TaggedValue(type, inner)),
        weight: 1,
      },
    ),
  }),
).value;
