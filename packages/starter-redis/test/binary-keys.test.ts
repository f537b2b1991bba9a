import { fromJson, idKey, type JsonValue, type P2PRecord, parseEndpoint, toJson } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, beforeAll, expect, it } from "vitest";
import { redisStarter } from "../src/index.ts";
import { calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";

/** Names that are no text: half a character, an overlong form, a surrogate, all bytes, and one that looks like text. */
const suffixes = [
  Buffer.from([0xff]),
  Buffer.from([0xc0, 0x80]),
  Buffer.from([0xed, 0xa0, 0x80]),
  Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  Buffer.concat([Buffer.from("user:"), Buffer.from([0xe2, 0x82])]),
];

describeWithService("redis", "keys whose names are not UTF-8", ({ url }) => {
  let client: Redis;
  let from: Place;
  let to: Place;
  const key = (place: Place, suffix: Buffer | string) =>
    Buffer.concat([Buffer.from(place.prefix), Buffer.from(suffix)]);
  beforeAll(async () => {
    client = new Redis(url);
    [from, to] = [makePlace(url), makePlace(url)];
    for (const suffix of suffixes) await client.hset(key(from, suffix), Buffer.from([0xfe]), Buffer.from([0xfd, 0]));
    // The hexadecimal text of one of them is a key of its own.
    await client.set(key(from, "ff"), "text");
    // And the character that stands for bytes that are none is a name like any other.
    await client.set(key(from, "\ufffd"), "replacement");
  });
  afterAll(async () => {
    for (const place of [from, to]) for (const suffix of suffixes) await client.unlink(key(place, suffix));
    await client.quit();
    await from.dispose();
    await to.dispose();
  });

  it("are the very bytes again from dump to dump, also through the JSON of another store", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const target = await openAt(to.endpoint({ format: "dump" }));
    const { records } = await readAll(source);
    const text = JSON.stringify(records.map((record) => toJson(record)));
    await writeAll(
      target,
      (JSON.parse(text) as JsonValue[]).map((json) => fromJson(json) as P2PRecord),
    );
    const found = (await client.keysBuffer(`${to.prefix}*`)).map((name) => name.subarray(to.prefix.length));
    const expected = [...suffixes, Buffer.from("ff"), Buffer.from("\ufffd")];
    expect(found.map((name) => name.toString("hex")).sort()).toEqual(expected.map((n) => n.toString("hex")).sort());
    for (const suffix of suffixes)
      expect(await client.hgetallBuffer(key(to, suffix))).toEqual(await client.hgetallBuffer(key(from, suffix)));
    const forms = records.map(({ id }) => target.idForm!(id));
    expect(new Set(forms).size, "keys that are one").toBe(records.length);
    const again = await target.writeToTarget(records, { mode: "skip", signal: calm() });
    expect(again.skipped).toBe(records.length);
    await source.close();
    await target.close();
  });

  it("are not vouched for as distinct, nor is the text that their ids share; other texts are", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const apart = new Map<string, boolean | undefined>();
    for await (const { records, distinct } of source.readFromSource({}, { batchSize: 1, signal: calm() }))
      for (const { id } of records) apart.set(typeof id === "string" ? id : `bytes ${idKey(id)}`, distinct);
    expect(apart.size).toBe(suffixes.length + 2);
    for (const [id, distinct] of apart) expect([id, distinct]).toEqual([id, id === "\ufffd"]);
    await source.close();
  });

  it("are found by the bytes and by the text of the id, each once", async () => {
    const source = await openAt(from.endpoint({ format: "dump" }), "source");
    const id = new Uint8Array([0xff]);
    const both = await readAll(source, { where: { id: { in: ["ff", idKey(id)] } } });
    expect(both.records.map((record) => record.id)).toEqual(["ff", id]);
    expect((await readAll(source, { where: { id } })).records.map((record) => record.id)).toEqual(["ff", id]);
    await source.close();
  });

  it("have ids that come back equal with format=json and format=hash, under a key that is their text", async () => {
    for (const format of ["json", "hash"] as const) {
      const target = await openAt(to.endpoint({ format, prefix: `${to.prefix}${format}:` }));
      const id = new Uint8Array([0xff, 0]);
      await writeAll(target, [{ id, n: 1 }]);
      expect(await client.exists(`${to.prefix}${format}:ff00`)).toBe(1);
      expect((await readAll(target)).records).toEqual([{ id, n: 1 }]);
      await target.close();
    }
  });

  it("what describeMapping calls lossless has been tried", async () => {
    const context = { role: "target", signal: calm(), connectTimeoutMs: 5000 } as const;
    const describe = async (format: string, records: readonly P2PRecord[]) => {
      const mappings = await redisStarter.describeMapping!(parseEndpoint(to.endpoint({ format })), records, context);
      return Object.fromEntries(mappings.map(({ field, ...rest }) => [field, rest]));
    };
    const binary = new Uint8Array([0xff]);
    const dump = new Uint8Array(Buffer.from("not tried"));
    expect((await describe("dump", [{ id: binary, dump }])).id).toMatchObject({ lossless: true });
    for (const id of [7, 7n, true, new Date(0), new Uint8Array([0x61]), { a: 1 }]) {
      const { id: mapping } = await describe("dump", [{ id, dump }]);
      expect(mapping, String(id)).toMatchObject({ lossless: false });
      expect(mapping!.note).toContain("text");
    }
    expect((await describe("dump", [{ id: "a", dump: "text" }])).dump).toMatchObject({ lossless: false });
    expect((await describe("dump", [{ id: "a", title: "b" }])).title).toMatchObject({ lossless: false });
    expect((await describe("json", [{ id: binary }])).id).toMatchObject({
      lossless: true,
      note: expect.stringContaining("format=dump"),
    });
    expect((await describe("json", [{ id: 7, at: new Date(5), tags: [1n] }])).id).toEqual({
      types: ["number"],
      storedAs: expect.stringContaining("the name of the key"),
      lossless: true,
    });
    await expect(
      redisStarter.describeMapping!(parseEndpoint("redis://127.0.0.1:1"), [{ id: 1 }], context),
    ).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  });
});
