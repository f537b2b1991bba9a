import type { BSON } from "mongodb";

const OP_MSG = 2013;
/** Bytes of the header of a message: its length, two numbers that pair it with its answer, and its kind. */
const HEADER = 16;

/**
 * The message with which a server is greeted in plain text, to find out whether it speaks that.
 *
 * Source: MongoDB wire protocol, "OP_MSG".
 */
export function opMessage(bson: typeof BSON): Buffer {
  const body = bson.serialize({ hello: 1, $db: "admin" });
  const head = Buffer.alloc(HEADER + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(1, 4);
  head.writeInt32LE(OP_MSG, 12);
  return Buffer.concat([head, body]);
}

/** Whether some bytes begin a message of the protocol. */
export function isOpMessage(data: Buffer): boolean {
  return data.length >= HEADER && data.readInt32LE(12) === OP_MSG;
}
