/** What comes of messages that no server sends: all that is told is bounded, and what cannot be made out is an error. */
import { expect, it } from "vitest";
import { type ChangeListener, PgoutputParser, type ToldCell } from "../src/changes/pgoutput.ts";
import { SlotStream } from "../src/changes/slot-stream.ts";

const RELATION = Buffer.concat([
  Buffer.from([0x52, 0, 0, 0, 7]),
  Buffer.from("public\0t\0d"),
  Buffer.from([0, 2, 1]),
  Buffer.from("id\0"),
  Buffer.from([0, 0, 0, 23, 0xff, 0xff, 0xff, 0xff, 0]),
  Buffer.from("v\0"),
  Buffer.from([0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff]),
]);
const INSERT = Buffer.concat([
  Buffer.from([0x49, 0, 0, 0, 7, 0x4e, 0, 2, 0x74, 0, 0, 0, 1, 0x35]),
  Buffer.from([0x74, 0, 0, 0, 2, 0x61, 0x62]),
]);

function parser() {
  const rows: (readonly ToldCell[])[] = [];
  const listener: ChangeListener = {
    onBegin: () => {},
    onCommit: () => {},
    onRelation: () => ["v", "id"],
    onRow: (_, cells) => rows.push(cells),
    onTruncate: () => {},
  };
  return { parser: new PgoutputParser(listener), rows };
}

it("takes the cells that are wanted, in their order", () => {
  const { parser: made, rows } = parser();
  made.parse(RELATION);
  made.parse(INSERT);
  expect(rows).toEqual([["ab", "5"]]);
});

it("refuses a message that ends early, wherever it does", () => {
  // The type of the last column is passed over.
  for (let length = 0; length < RELATION.length - 8; length++) {
    expect(() => parser().parser.parse(RELATION.subarray(0, length)), `relation of ${length}`).toThrow();
  }
  // Of five bytes it tells of no row.
  for (let length = 6; length < INSERT.length; length++) {
    const { parser: made, rows } = parser();
    made.parse(RELATION);
    expect(() => made.parse(INSERT.subarray(0, length)), `insert of ${length}`).toThrow();
    expect(rows).toEqual([]);
  }
});

it("does not go back, and reads no cell of an unknown kind", () => {
  const back = Buffer.from(INSERT);
  back.writeInt32BE(-13, 9);
  const odd = Buffer.from(INSERT);
  odd[8] = 0x7a;
  for (const message of [back, odd]) {
    const { parser: made, rows } = parser();
    made.parse(RELATION);
    expect(() => made.parse(message)).toThrow(RangeError);
    expect(rows).toEqual([]);
  }
});

it("hands on what was cut off before its message as one that cannot be made out", () => {
  const told: Buffer[] = [];
  const stream = new SlotStream(
    {} as never,
    { slot: "s", publication: "p", from: 0n, confirmed: 0n },
    {
      onMessage: (message) => void told.push(message),
      onKeepalive: () => told.push(Buffer.from("alive")),
      isFull: false,
    },
  );
  for (const chunk of [Buffer.from("w"), Buffer.alloc(24, "w"), Buffer.from("k"), Buffer.alloc(17, "k")]) {
    stream.handleCopyData({ chunk });
  }
  expect(told.map((message) => message.length)).toEqual([0, 0, 0, 0]);
  expect(() => parser().parser.parse(told[0]!)).toThrow(RangeError);
});
