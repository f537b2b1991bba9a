/** The decoders of gzip and zstd: members of every size, in chunks of every size, however slowly what comes out is taken. */

import { setImmediate } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { ByteReader } from "../src/client/byte-reader.ts";
import { gunzip } from "../src/client/gzip.ts";
import { unzstd } from "../src/client/zstd.ts";

const decoders = [
  ["gzip", gunzip, (bytes: Buffer) => gzipSync(bytes)],
  ["gzip, stored", gunzip, (bytes: Buffer) => gzipSync(bytes, { level: 0 })],
  ["zstd", unzstd, (bytes: Buffer) => zstdCompressSync(bytes)],
] as const;

const SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 300_000];
const bytesOf = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, i) => (i * i + (i >> 9)) % 251));

async function* inChunks(file: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += size) {
    await setImmediate();
    yield file.subarray(at, at + size);
  }
}

describe.each(decoders)("%s", (_, decode, encode) => {
  it.each([1 << 20, 65_536, 4099])("gives what its members hold, read by %d bytes", async (chunk) => {
    const members = SIZES.map((size) => encode(bytesOf(size)));
    const begins: [number, number][] = [];
    const out: Uint8Array[] = [];
    const reader = new ByteReader(inChunks(Buffer.concat(members), chunk));
    for await (const some of decode(reader, "x", (compressed, plain) => begins.push([compressed, plain]))) {
      await setImmediate();
      out.push(some);
    }
    expect(Buffer.concat(out).equals(Buffer.concat(SIZES.map(bytesOf)))).toBe(true);
    const sum = (lengths: readonly number[]) => lengths.reduce((a, b) => a + b, 0);
    expect(begins).toEqual(
      SIZES.map((__, i) => [sum(members.slice(0, i).map(({ length }) => length)), sum(SIZES.slice(0, i))]),
    );
  });

  it("tells of a member that is torn, wherever it is", async () => {
    const file = Buffer.concat([encode(bytesOf(100_000)), encode(bytesOf(100_000))]);
    for (const length of [5, 40, file.length / 2 + 20, file.length - 9, file.length - 1]) {
      const reader = new ByteReader(inChunks(file.subarray(0, length), 30_000));
      const readAll = async () => {
        for await (const some of decode(reader, "x", () => {})) expect(some.length).toBeGreaterThan(0);
      };
      await expect(readAll(), `${length} of ${file.length}`).rejects.toMatchObject({ code: "READ_FAILED" });
    }
  });
});
