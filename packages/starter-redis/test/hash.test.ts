import { type P2PRecord, TaggedValue } from "@omni/p2p-core/starter";
import { describeWithService } from "@omni/p2p-test-services/suite";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { calm, openAt, readAll, writeAll } from "./opening.ts";
import { makePlace, type Place } from "./places.ts";

describeWithService("redis", "records as hashes", ({ url }) => {
  let client: Redis;
  let place: Place;
  beforeAll(() => {
    client = new Redis(url);
  });
  beforeEach(() => {
    place = makePlace(url);
  });
  afterEach(() => place.dispose());
  afterAll(() => client.quit());

  it("are plain for others, and a sidecar tells the types", async () => {
    const service = await openAt(place.endpoint({ format: "hash" }));
    await writeAll(service, [
      { id: "plain", title: "only text" },
      {
        id: 7,
        text: "42",
        number: 42,
        minus: -0,
        big: 10n ** 30n,
        yes: true,
        none: null,
        date: new Date(5),
        bytes: new TextEncoder().encode("text"),
        list: [1, "a"],
        tagged: new TaggedValue("mongodb:objectId", "65f0c0ffee0ddba11ca7f00d"),
      },
    ]);
    expect(await client.hgetall(`${place.prefix}plain`)).toEqual({ id: "plain", title: "only text" });
    const { _p2p, ...fields } = await client.hgetall(`${place.prefix}7`);
    expect(fields).toEqual({
      id: "7",
      text: "42",
      number: "42",
      minus: "-0",
      big: `1${"0".repeat(30)}`,
      yes: "true",
      none: "",
      date: "1970-01-01T00:00:00.005Z",
      bytes: "text",
      list: '[1,"a"]',
      tagged: '{"$p2p":"mongodb:objectId","value":"65f0c0ffee0ddba11ca7f00d"}',
    });
    expect(JSON.parse(_p2p!)).toEqual({
      types: {
        number: ["id", "number", "minus"],
        bigint: ["big"],
        boolean: ["yes"],
        null: ["none"],
        date: ["date"],
        bytes: ["bytes"],
        json: ["list", "tagged"],
      },
    });
    await service.close();
  });

  it("may be changed by others: what still fits its type keeps it, the rest is text", async () => {
    const service = await openAt(place.endpoint({ format: "hash" }));
    await writeAll(service, [{ id: "a", n: 1, m: 1, b: true, d: new Date(0), x: null, j: [1], big: 1n }]);
    await client.hincrby(`${place.prefix}a`, "n", 41);
    await client.hset(`${place.prefix}a`, "m", "many", "b", "yes", "d", "soon", "x", "y", "j", "[", "big", "1.5");
    await client.hset(`${place.prefix}a`, "more", "text");
    const changed = { id: "a", n: 42, m: "many", b: "yes", d: "soon", x: "y", j: "[", big: "1.5", more: "text" };
    expect((await readAll(service)).records).toEqual([changed]);
    await client.hset(`${place.prefix}a`, "_p2p", "not a sidecar");
    expect((await readAll(service)).records[0]).toMatchObject({ n: "42", _p2p: "not a sidecar" });
    await service.close();
  });

  it("have no date and no number but what is exactly one", async () => {
    const service = await openAt(place.endpoint({ format: "hash" }));
    const texts = {
      date: ["2024-02-30T00:00:00.000Z", "2024-06-31T00:00:00.000Z", "2024-01-01T24:00:00.000Z", "2024-02-30", "5"],
      number: ["007", "0x10", " 5", "1_000", "", "1.", ".5", "+1", "1n"],
      bigint: ["007", "-0", "1e3"],
    };
    for (const [type, wrong] of Object.entries(texts)) {
      for (const text of wrong) {
        await client.hset(`${place.prefix}a`, "f", text, "_p2p", JSON.stringify({ types: { [type]: ["f"] } }));
        expect((await readAll(service)).records, `${type} ${text}`).toEqual([{ id: "a", f: text }]);
      }
    }
    for (const [text, number] of [
      ["-1.5e-7", -1.5e-7],
      ["1e+21", 1e21],
      ["100000000000000000000", 1e20],
      ["9007199254740993", 9007199254740993n],
      ["-Infinity", Number.NEGATIVE_INFINITY],
    ] as const) {
      await client.hset(`${place.prefix}a`, "f", text, "_p2p", '{"types":{"number":["f"]}}');
      expect((await readAll(service)).records).toEqual([{ id: "a", f: number }]);
    }
    await service.close();
  });

  it("of ten thousand fields come and go", async () => {
    const service = await openAt(place.endpoint({ format: "hash" }));
    const wide = {
      id: "w",
      ...Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`f${i}`, i])),
    } as P2PRecord;
    await writeAll(service, [{ id: "before" }, wide, { id: "after" }]);
    expect((await readAll(service, { where: { id: "w" } })).records).toEqual([wide]);
    await writeAll(service, [{ id: "w", only: 1 }]);
    expect((await readAll(service, { where: { id: "w" } })).records).toEqual([{ id: "w", only: 1 }]);
    await service.close();
  });

  it("lie beside records as JSON, and either format reads both", async () => {
    const hash = await openAt(place.endpoint({ format: "hash" }));
    const json = await openAt(place.endpoint({ format: "json" }));
    const records = Array.from({ length: 40 }, (_, i) => ({
      id: `r${String(i).padStart(2, "0")}`,
      n: i,
      d: new Date(i),
    }));
    await writeAll(
      hash,
      records.filter((_, i) => i % 2 === 0),
    );
    await writeAll(
      json,
      records.filter((_, i) => i % 2 === 1),
    );
    for (const service of [hash, json]) {
      expect((await readAll(service, {}, { batchSize: 7 })).records).toEqual(records);
      await service.close();
    }
  });

  it("in batches of many megabytes are written in several steps", async () => {
    const service = await openAt(place.endpoint({ format: "hash" }));
    const records = Array.from({ length: 30 }, (_, i) => ({ id: `r${i}`, body: String(i).repeat(500_000) }));
    const result = await service.writeToTarget(records, { mode: "insert", signal: calm() });
    expect(result).toMatchObject({ written: 30, failures: [] });
    expect((await readAll(service)).records).toHaveLength(30);
    await service.close();
  });
});
