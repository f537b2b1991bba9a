import { gzipSync, zstdCompressSync } from "node:zlib";
import { isP2PError } from "@omni/p2p-core/starter";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "../src/client/byte-reader.ts";
import { gunzip } from "../src/client/gzip.ts";
import { unzstd } from "../src/client/zstd.ts";

async function* inChunks(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

interface Told {
  readonly plain: string;
  readonly members: readonly (readonly [compressed: number, plain: number])[];
}

async function decode(
  decoder: typeof gunzip,
  bytes: Uint8Array,
  size: number,
  from?: { compressed: number; plain: number },
): Promise<Told> {
  const members: [number, number][] = [];
  const chunks: Uint8Array[] = [];
  const reader = new ByteReader(inChunks(bytes, size));
  for await (const chunk of decoder(reader, "x", (c, p) => members.push([c, p]), from)) chunks.push(chunk);
  return { plain: Buffer.concat(chunks).toString(), members };
}

const texts = fc.array(
  fc.tuple(fc.string({ maxLength: 40 }), fc.integer({ min: 0, max: 6000 })).map(([text, times]) => text.repeat(times)),
  { minLength: 1, maxLength: 5 },
);
const CODECS = [
  { name: "gzip", decoder: gunzip, compress: (text: string) => gzipSync(text) },
  { name: "zstd", decoder: unzstd, compress: (text: string) => zstdCompressSync(text) },
];

describe.each(CODECS)("$name by members", ({ decoder, compress }) => {
  it("gives what was compressed, and where each member begins, whatever the chunks", async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.integer({ min: 1, max: 70_000 }), async (parts, size) => {
        const members = parts.map(compress);
        const file = Buffer.concat(members);
        const told = await decode(decoder, file, size);
        expect(told.plain).toBe(parts.join(""));
        expect(told.members.map(([compressed]) => compressed)).toEqual(
          members.map((_, i) => Buffer.concat(members.slice(0, i)).length),
        );
        const last = told.members.at(-1)!;
        const from = { compressed: last[0], plain: last[1] };
        const rest = await decode(decoder, file.subarray(from.compressed), size, from);
        expect(rest).toEqual({ plain: parts.at(-1), members: [last] });
      }),
      { numRuns: 60 },
    );
  });

  it("tells a truncated file, wherever it ends, and one that is damaged", async () => {
    const file = Buffer.concat([compress("first ".repeat(50)), compress("second ".repeat(5000))]);
    const second = compress("first ".repeat(50)).length;
    for (const length of [0, 1, 5, 9, second - 1, second + 3, second + 12, file.length - 9, file.length - 1]) {
      const error = await decode(decoder, file.subarray(0, length), 1000).catch((thrown: unknown) => thrown);
      expect(isP2PError(error, "READ_FAILED") && /truncated/.test(error.message), `${length}: ${error}`).toBe(true);
    }
    const damaged = Buffer.from(file);
    damaged[second + 20]! ^= 0xff;
    await expect(decode(decoder, damaged, 1000)).rejects.toMatchObject({ code: "READ_FAILED" });
    await expect(decode(decoder, Buffer.concat([file, Buffer.from("what is this?")]), 1000)).rejects.toMatchObject({
      code: "READ_FAILED",
      message: expect.stringContaining("damaged"),
    });
  });
});

it("gzip may be padded with zeros, as on tapes", async () => {
  expect((await decode(gunzip, Buffer.concat([gzipSync("a"), Buffer.alloc(100)]), 7)).plain).toBe("a");
});

it("zstd may have skippable frames", async () => {
  const skippable = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const file = Buffer.concat([skippable, zstdCompressSync("a"), skippable, zstdCompressSync("b")]);
  expect((await decode(unzstd, file, 4)).plain).toBe("ab");
});
