import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeJson, type P2PRecord, parseEndpoint, valuesEqual } from "@omni/p2p-core/starter";
import { optionRows, SAMPLE_VALUES, tableRows, VALUE_TYPES } from "@omni/p2p-testkit";
import { expect, test } from "vitest";
import type { Keyspace } from "../src/client/keyspace.ts";
import { parseRedisEndpoint } from "../src/endpoint.ts";
import { redisMapping, redisStarter } from "../src/index.ts";
import { decodeHashRecord, encodeHashRecord } from "../src/values/hash-record.ts";
import { decodeJsonRecord } from "../src/values/json-record.ts";
import { packRecord } from "../src/writing/packed-record.ts";

const readme = await readFile(join(import.meta.dirname, "../README.md"), "utf8");

test("the README's table of options is that of the starter", () => {
  expect(tableRows(readme, "option")).toEqual(optionRows(redisStarter.options));
});

test("the README's table of types is that of the code", () => {
  expect(tableRows(readme, "value")).toEqual(
    VALUE_TYPES.map((type) => [type, redisMapping[type].json, redisMapping[type].hash, redisMapping[type].back]),
  );
});

const settings = parseRedisEndpoint(parseEndpoint("redis://localhost/0"));
/** Packing needs no way to a server. */
const target = { settings, maxValueBytes: Infinity } as Keyspace;

test("each sample of each type is stored as the table says, and comes back", () => {
  for (const type of VALUE_TYPES) {
    for (const value of SAMPLE_VALUES[type]) {
      const record: P2PRecord = { id: "a", value };
      const text = packRecord(record, 0, target).content as string;
      expect(text).toBe(encodeJson(record));
      const tag = /^\{"id":"a","value":\{"\$p2p":"([^"]+)"/.exec(text)?.[1];
      if (tag !== undefined && type !== "tagged") expect(redisMapping[type].json).toContain(`tag \`${tag}\``);
      if (tag === undefined) expect(redisMapping[type].json).not.toMatch(/^tag /);
      expect(valuesEqual(decodeJsonRecord(Buffer.from(text), "a"), record), text.slice(0, 200)).toBe(true);

      const parts = encodeHashRecord(record).map((part) => Buffer.from(part));
      const sidecar = parts.findIndex((part) => part.toString() === "_p2p");
      const types = sidecar < 0 ? {} : (JSON.parse(parts[sidecar + 1]!.toString()).types as Record<string, string[]>);
      const told = Object.keys(types)[0];
      if (told === undefined) expect(redisMapping[type].hash).toBe("the text itself");
      else expect(redisMapping[type].hash).toContain(`type \`${told}\``);
      expect(valuesEqual(decodeHashRecord(parts, "a"), record), text.slice(0, 200)).toBe(true);
    }
  }
});
