import * as fc from "fast-check";
import { Command, type Redis } from "ioredis";
import { expect, test } from "vitest";
import { CommandSerialiser } from "../src/client/command-serialiser.ts";

/** A client that notes what would be sent, and answers when it is told to. */
function recorder() {
  const sent: {
    readonly bytes: Buffer;
    readonly answer: (reply: unknown) => void;
    readonly fail: (error: Error) => void;
  }[] = [];
  const client = {
    sendCommand(command: Command) {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      sent.push({ bytes: command.toWritable({}) as Buffer, answer: resolve, fail: reject });
      return promise;
    },
  } as unknown as Redis;
  return { client, sent };
}

const arg = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme-ascii", maxLength: 40 }),
  fc.constantFrom("", "é".repeat(9), "文".repeat(40), "\ud800", "x".repeat(70_000), "文".repeat(70_000)),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
  fc.integer(),
);

test("a command is in the bytes that the client itself would send, whatever was sent before it", async () => {
  const { client, sent } = recorder();
  const sender = new CommandSerialiser(Command);
  await fc.assert(
    fc.asyncProperty(fc.array(arg, { maxLength: 30 }), async (args) => {
      const sending = sender.send(client, { name: "sadd", args: [...args] });
      const { bytes, answer } = sent.pop()!;
      const own = new Command("sadd", [...args]).toWritable({});
      expect(bytes.equals(typeof own === "string" ? Buffer.from(own) : own)).toBe(true);
      answer("OK");
      expect(await sending).toBe("OK");
    }),
    { numRuns: 300 },
  );
});

test("the bytes stay as they are until the reply has come, and for good when none comes", async () => {
  const { client, sent } = recorder();
  const sender = new CommandSerialiser(Command);
  const send = (text: string) => sender.send(client, { name: "set", args: ["key", text] });
  const failing = send("a".repeat(100));
  const pending = send("b".repeat(100));
  const [first, second] = [...sent];
  const before = [first!.bytes.toString(), second!.bytes.toString()];
  first!.fail(new Error("cut"));
  await expect(failing).rejects.toThrow("cut");
  for (let i = 0; i < 20; i++) {
    const done = send("c".repeat(100));
    sent.at(-1)!.answer("OK");
    await done;
  }
  expect([first!.bytes.toString(), second!.bytes.toString()]).toEqual(before);
  second!.answer("OK");
  await pending;
});
