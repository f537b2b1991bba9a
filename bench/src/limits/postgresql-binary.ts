const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");

/** Milliseconds from 1970 to 2000, from which PostgreSQL counts. */
const EPOCH_2000 = 946_684_800_000;

/** Rows as COPY takes them in its binary format: a count of cells before each row, a length before each cell. */
export function toBinary(page: readonly (readonly unknown[])[]): Buffer {
  let bytes: Buffer = Buffer.allocUnsafe(Math.max(1 << 16, page.length * 1024));
  let at = SIGNATURE.copy(bytes);
  for (const cells of page) {
    at = bytes.writeInt16BE(cells.length, at);
    for (const cell of cells) {
      // A character has at most three bytes for each of its units in JavaScript.
      const room = 16 + (typeof cell === "string" ? cell.length * 3 : 0);
      if (at + room > bytes.length) bytes = enlarged(bytes, at, room);
      if (cell === null || cell === undefined) {
        at = bytes.writeInt32BE(-1, at);
      } else if (typeof cell === "string") {
        const length = bytes.write(cell, at + 4);
        at = bytes.writeInt32BE(length, at) + length;
      } else if (typeof cell === "number") {
        at = bytes.writeDoubleBE(cell, bytes.writeInt32BE(8, at));
      } else if (cell instanceof Date) {
        at = bytes.writeBigInt64BE(BigInt(cell.getTime() - EPOCH_2000) * 1000n, bytes.writeInt32BE(8, at));
      } else {
        at = bytes.writeInt8(cell ? 1 : 0, bytes.writeInt32BE(1, at));
      }
    }
    if (at + 2 > bytes.length) bytes = enlarged(bytes, at, 2);
  }
  return bytes.subarray(0, bytes.writeInt16BE(-1, at));
}

function enlarged(bytes: Buffer, used: number, room: number): Buffer {
  const larger = Buffer.allocUnsafe(2 * bytes.length + room);
  bytes.copy(larger, 0, 0, used);
  return larger;
}
