import type { Command as ClientCommand, Redis } from "ioredis";
import type { Command } from "./command.ts";

/** Room that is kept for further commands, in bytes; a larger one is left to the garbage collector. */
const KEPT_BYTES = 1024 * 1024;
/** How many of them are kept: as many as there are commands on their way, mostly. */
const KEPT = 8;
/** Most bytes that UTF-8 takes for a UTF-16 unit. */
const MOST_BYTES = 3;
/** Length from which on a text is worth to be measured before room is made for it. */
const LONG_TEXT = 65_536;
/** Enough for the length of a part and the line ends around it. */
const FRAME_BYTES = 32;

/**
 * Serialises commands to RESP, the bytes that the server takes, and sends them. The client by itself would join their parts
 * into one text first, and where a single character of it lies outside of Latin-1, all of it takes twice the memory and a
 * slow way to UTF-8: that costs several times as much as to write part by part into memory which earlier commands have used.
 *
 * Source: Redis serialization protocol specification, "Sending commands to a Redis server".
 */
export class CommandSerialiser {
  readonly #ClientCommand: typeof ClientCommand;
  readonly #spare: Buffer[] = [];

  /** @param Base ioredis's own class, which is there when the client is loaded. */
  constructor(Base: typeof ClientCommand) {
    this.#ClientCommand = Base;
  }

  /** Resolves with the reply, whose strings are buffers; rejects as the client's own methods do. */
  async send(client: Redis, command: Command): Promise<unknown> {
    const packed = this.#pack(command);
    const sent = new this.#ClientCommand(command.name, [], { replyEncoding: null });
    sent.toWritable = () => packed;
    const reply = await client.sendCommand(sent);
    // Only now is it certain that nobody reads it any more.
    this.#release(packed);
    return reply;
  }

  #pack({ name, args }: Command): Buffer {
    let room = this.#spare.pop() ?? Buffer.allocUnsafeSlow(KEPT_BYTES >> 4);
    let at = room.write(`*${args.length + 1}\r\n$${name.length}\r\n${name}\r\n`, 0, "latin1");
    for (const arg of args) {
      const part = typeof arg === "number" ? String(arg) : arg;
      const most = mostBytes(part) + FRAME_BYTES;
      if (at + most > room.length) room = enlarged(room, at, most);
      at = typeof part === "string" ? writeText(room, at, part) : writeBytes(room, at, part);
    }
    return room.subarray(0, at);
  }

  #release(packed: Buffer): void {
    if (packed.buffer.byteLength <= KEPT_BYTES && this.#spare.length < KEPT) {
      this.#spare.push(Buffer.from(packed.buffer));
    }
  }
}

function mostBytes(part: string | Buffer): number {
  if (typeof part !== "string") return part.length;
  return part.length < LONG_TEXT ? part.length * MOST_BYTES : Buffer.byteLength(part);
}

function enlarged(room: Buffer, used: number, wanted: number): Buffer {
  const larger = Buffer.allocUnsafeSlow(Math.max(room.length * 2, used + wanted));
  room.copy(larger, 0, 0, used);
  return larger;
}

function writeText(room: Buffer, at: number, text: string): number {
  // Most texts are ASCII, so that their length is known before they are written.
  const start = at + room.write(`$${text.length}\r\n`, at, "latin1");
  const length = room.write(text, start);
  if (length === text.length) return endPart(room, start + length);
  const head = `$${length}\r\n`;
  room.copyWithin(at + head.length, start, start + length);
  room.write(head, at, "latin1");
  return endPart(room, at + head.length + length);
}

function writeBytes(room: Buffer, at: number, bytes: Buffer): number {
  const start = at + room.write(`$${bytes.length}\r\n`, at, "latin1");
  room.set(bytes, start);
  return endPart(room, start + bytes.length);
}

function endPart(room: Buffer, at: number): number {
  room[at] = 0x0d;
  room[at + 1] = 0x0a;
  return at + 2;
}
