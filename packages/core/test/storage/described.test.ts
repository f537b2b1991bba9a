import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { parseConfig } from "../../src/engine.ts";
import {
  type ConnectionConfigInput,
  DefaultP2PConnectionManager,
  type EndpointInput,
  type P2PQuery,
  parseEndpoint,
  type TransferOptions,
} from "../../src/index.ts";
import { parseQuery } from "../../src/starter.ts";
import { ScriptedStarter } from "../support/scripted-starter.ts";

class Settings {
  readonly limit = 1;
}

const THINGS: readonly (readonly [string, unknown, RegExp])[] = [
  ["null", null, /null/],
  ["a promise", Promise.resolve({ limit: 1 }), /a promise; await it first/],
  // biome-ignore lint/suspicious/noThenProperty: that is what it is
  ["a thenable", { then: () => {} }, /a promise; await it first/],
  ["a map", new Map([["limit", 1]]), /a Map; give Object\.fromEntries/],
  ["a map of another realm", runInNewContext("new Map()"), /a Map/],
  ["a set", new Set(["a"]), /a Set/],
  ["search parameters", new URLSearchParams("limit=1"), /a URLSearchParams/],
  ["an instance of a class", new Settings(), /an instance of Settings; give a plain object/],
  ["a date", new Date(), /an instance of Date/],
  ["a list", [], /an array/],
  ["a function", () => ({ limit: 1 }), /a function; call it/],
  ["a text", "limit=1", /a string/],
  ["a number", 7, /a number/],
];

describe("what is no plain object", () => {
  it.each(THINGS)("is refused as a query, with its name: %s", (_, thing, message) => {
    expect(() => parseQuery(thing as P2PQuery)).toThrow(expect.objectContaining({ code: "INVALID_QUERY" }));
    expect(() => parseQuery(thing as P2PQuery)).toThrow(message);
    for (const part of ["where", "native"]) {
      expect(() => parseQuery({ [part]: thing } as P2PQuery), part).toThrow(message);
    }
  });

  it.each(THINGS)("is refused as settings, endpoint and metadata, with its name: %s", (name, thing, message) => {
    const invalidConfig = expect.objectContaining({ code: "INVALID_CONFIG" });
    expect(() => parseConfig(thing as ConnectionConfigInput)).toThrow(invalidConfig);
    expect(() => parseConfig(thing as ConnectionConfigInput)).toThrow(message);
    const metadata = { storageType: "memory", metadata: thing } as unknown as EndpointInput;
    expect(() => parseEndpoint(metadata)).toThrow(message);
    if (name !== "a text") expect(() => parseEndpoint(thing as EndpointInput)).toThrow(message);
  });

  it.each(THINGS.filter(([name]) => name !== "null" && name !== "a text" && name !== "a number"))(
    "moves nothing as a query or options of a transfer or a comparison: %s",
    async (_, thing, message) => {
      const starter = new ScriptedStarter("scripted");
      const manager = new DefaultP2PConnectionManager();
      manager.registerService("scripted", starter);
      const { connectionId } = await manager.establish({ storageType: "scripted" }, { storageType: "scripted" });
      const calls = [
        ["INVALID_QUERY", () => manager.transferThroughConnection(connectionId, thing as P2PQuery)],
        ["INVALID_QUERY", () => manager.transferThroughConnection(connectionId, { where: thing } as P2PQuery)],
        ["INVALID_CONFIG", () => manager.transferThroughConnection(connectionId, {}, thing as TransferOptions)],
        ["INVALID_QUERY", () => manager.verify(connectionId, thing as P2PQuery)],
        ["INVALID_CONFIG", () => manager.verify(connectionId, {}, thing as object)],
      ] as const;
      for (const [code, call] of calls) {
        const error = await call().then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
        expect(error).toMatchObject({ code });
        expect((error as Error).message).toMatch(message);
      }
      expect(starter.opened.flatMap((store) => store.sent)).toEqual([]);
      await manager.close();
    },
  );

  it("a plain object of another realm or without a prototype is", () => {
    expect(parseQuery(runInNewContext("({ limit: 5, where: { a: { gt: 1 } } })") as P2PQuery).limit).toBe(5);
    expect(parseQuery(Object.assign(Object.create(null) as object, { limit: 5 })).limit).toBe(5);
  });
});
