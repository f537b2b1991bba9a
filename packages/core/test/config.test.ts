import { describe, expect, expectTypeOf, it } from "vitest";
import { type ConnectionConfig, parseTolerance, settingNames } from "../src/config.ts";
import { parseConfig } from "../src/engine.ts";
import { type ConnectionConfigInput, type FailureTolerance, isP2PError } from "../src/index.ts";

/** Every setting with a value that is not its default. */
const EVERY: ConnectionConfig = {
  batchSize: 100,
  autoReconnect: false,
  maxRetries: 7,
  connectionTimeout: 1234,
  transferTimeout: 30_000,
  description: "Knowledge base transfer",
  concurrency: 2,
  readAhead: 1,
  maxBytesInFlight: 4096,
  mode: "skip",
  partitions: 4,
  maxFailures: "2.5%",
  retryDelay: 1,
  maxRetryDelay: 2,
  reconnectTimeout: 3,
  allowSameStore: true,
  as: { released: "date", "meta.price": "decimal" },
  recognise: ["dates"],
  misfits: "keep",
  rateLimit: "5000/s",
};

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

describe("the settings of a connection", () => {
  it("have defaults", () => {
    expect(parseConfig()).toEqual({
      batchSize: 500,
      autoReconnect: true,
      maxRetries: 3,
      connectionTimeout: 5000,
      transferTimeout: 0,
      concurrency: 4,
      readAhead: 2,
      maxBytesInFlight: 64 * 1024 * 1024,
      mode: "upsert",
      partitions: 1,
      retryDelay: 100,
      maxRetryDelay: 10_000,
      reconnectTimeout: 60_000,
      allowSameStore: false,
      recognise: false,
      misfits: "fail",
    });
    expect(parseConfig({ batchSize: undefined })).toEqual(parseConfig());
  });

  it("take the guide's own example", () => {
    const guide: ConnectionConfigInput = {
      batch_size: 100,
      auto_reconnect: true,
      max_retries: 3,
      connection_timeout: 5000,
      transfer_timeout: 30000,
      description: "Knowledge base transfer",
    };
    expect(parseConfig(guide)).toMatchObject({
      batchSize: 100,
      autoReconnect: true,
      maxRetries: 3,
      connectionTimeout: 5000,
      transferTimeout: 30_000,
      description: "Knowledge base transfer",
    });
  });

  it("may each be written in both spellings", () => {
    expect(parseConfig(EVERY)).toEqual(EVERY);
    expect(parseConfig(Object.fromEntries(Object.entries(EVERY).map(([name, value]) => [snake(name), value])))).toEqual(
      EVERY,
    );
    expect([...settingNames()].sort()).toEqual(
      [...new Set(Object.keys(EVERY).flatMap((name) => [name, snake(name)]))].sort(),
    );
    expectTypeOf<{ max_bytes_in_flight: number }>().toExtend<ConnectionConfigInput>();
  });

  it("leave the batch size to the transfer", () => {
    for (const input of [{ batchSize: "auto" }, { batch_size: "auto" }] as const) {
      expect(parseConfig(input).batchSize).toBe("auto");
    }
  });

  it("go over a fallback", () => {
    expect(parseConfig({ max_retries: 1 }, EVERY)).toEqual({ ...EVERY, maxRetries: 1 });
  });

  it.each<[string, unknown, RegExp]>([
    ["null", null, /it must be an object/],
    ["text", "batch_size=5", /it must be an object/],
    [
      "a setting in both spellings",
      { batch_size: 1, batchSize: 1 },
      /"batch_size" and "batchSize" are the same setting/,
    ],
    [
      "an unknown key",
      { batch_sise: 1 },
      /unknown key "batch_sise" \(did you mean "batch_size"\?\)\. Known keys: batchSize/,
    ],
    ["an unknown key like no other", { colour: 1 }, /unknown key "colour"\. Known/],
    ["an inherited key", { constructor: 1 }, /unknown key "constructor"/],
    ["__proto__", JSON.parse('{"__proto__": 1}'), /unknown key "__proto__"/],
    ["batch_size 0", { batch_size: 0 }, /"batch_size" must be "auto" or a whole number from 1 to 100000, not 0/],
    ["batch_size -1", { batch_size: -1 }, /"batch_size" must be .* not -1/],
    ["batch_size 1.5", { batch_size: 1.5 }, /"batch_size" must be .* not 1\.5/],
    ["batch_size 1e9", { batch_size: 1e9 }, /"batch_size" must be .* not 1000000000/],
    ["batch_size NaN", { batch_size: Number.NaN }, /"batch_size" must be .* not NaN/],
    ["batchSize Infinity", { batchSize: Infinity }, /"batchSize" must be .* not Infinity/],
    ["batchSize as text", { batchSize: "100" }, /"batchSize" must be .* not "100"/],
    ["batchSize as a bigint", { batchSize: 5n }, /"batchSize" must be .* not 5/],
    ["another word for batch_size", { batch_size: "Auto" }, /"batch_size" must be .* not "Auto"/],
    ["auto for another setting", { concurrency: "auto" }, /"concurrency" must be a whole number/],
    ["batchSize null", { batchSize: null }, /"batchSize" must be .* not null/],
    ["batchSize as a list", { batchSize: [5] }, /"batchSize" must be .* not an object/],
    ["auto_reconnect as text", { auto_reconnect: "true" }, /"auto_reconnect" must be a boolean, not "true"/],
    ["auto_reconnect 1", { auto_reconnect: 1 }, /"auto_reconnect" must be a boolean, not 1/],
    ["a negative max_retries", { max_retries: -1 }, /"max_retries" must be a whole number from 0 to 1000/],
    [
      "connection_timeout 0",
      { connection_timeout: 0 },
      /"connection_timeout" must be a whole number from 1 to 2147483647/,
    ],
    [
      "a timeout longer than a timer",
      { transfer_timeout: 2 ** 31 },
      /"transfer_timeout" must be a whole number from 0 to 2147483647/,
    ],
    ["a description that is no text", { description: 5 }, /"description" must be a string, not 5/],
    ["concurrency 0", { concurrency: 0 }, /"concurrency" must be a whole number from 1 to 64/],
    ["read_ahead 0", { read_ahead: 0 }, /"read_ahead" must be/],
    ["another mode", { mode: "replace" }, /"mode" must be one of upsert, insert, skip, not "replace"/],
    [
      "max_failures as a word",
      { max_failures: "some" },
      /"max_failures" must be "none", "all", a whole number or a share such as "2\.5%", not "some"/,
    ],
    ["max_failures -1", { max_failures: -1 }, /"max_failures" must be/],
    ["max_failures 0.5", { max_failures: 0.5 }, /"max_failures" must be/],
    ["max_failures above all", { max_failures: "101%" }, /"max_failures" must be/],
    ["max_failures null", { max_failures: null }, /"max_failures" must be .* not null/],
  ])("are refused: %s", (_, input, message) => {
    expect(() => parseConfig(input as ConnectionConfigInput)).toThrow(message);
    expect(() => parseConfig(input as ConnectionConfigInput)).toThrow(/^Invalid configuration: /);
    expect(() => parseConfig(input as ConnectionConfigInput)).toThrow(
      expect.toSatisfy((error) => isP2PError(error, "INVALID_CONFIG")),
    );
  });
});

describe("max_failures", () => {
  it.each<[FailureTolerance, [failed: number, total: number, borne: boolean][]]>([
    [
      "none",
      [
        [0, 10, true],
        [1, 1e9, false],
      ],
    ],
    [
      0,
      [
        [0, 10, true],
        [1, 1e9, false],
      ],
    ],
    ["all", [[1e9, 1e9, true]]],
    [
      3,
      [
        [3, 3, true],
        [4, 1e9, false],
      ],
    ],
    [
      "10%",
      [
        [10, 10, true],
        [11, 20, false],
        [100, 1000, true],
        [101, 1000, false],
      ],
    ],
    [
      "0%",
      [
        [0, 10, true],
        [1, 1e9, false],
      ],
    ],
    ["100%", [[1000, 1000, true]]],
    [
      "2.5%",
      [
        [2, 5, true],
        [3, 5, false],
        [25, 1000, true],
        [26, 1000, false],
      ],
    ],
  ])("%s", (tolerance, cases) => {
    const borne = parseTolerance(tolerance);
    for (const [failed, total, expected] of cases) expect(borne(failed, total), `${failed} of ${total}`).toBe(expected);
  });
});
