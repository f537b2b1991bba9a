import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { DefaultP2PTransferBridge, isP2PError, type P2PQuery, type TransferOptions } from "../../src/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { records, refused, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { transfer } from "../support/transferring.ts";

const folder = temporaryFolder();

describe("the options of a transfer", () => {
  it.each<[string, unknown, RegExp]>([
    ["null", null, /transfer options must be an object/],
    ["a number", 5, /transfer options must be an object/],
    ["an unknown name", { batchsize: 5 }, /unknown option "batchsize" \(did you mean "batchSize"\?\)/],
    [
      "an unknown name near an option",
      { transferID: "x" },
      /unknown option "transferID" \(did you mean "transferId"\?\)/,
    ],
    ["__proto__", JSON.parse('{"__proto__":1}'), /unknown option "__proto__"/],
    ["a bad setting", { batch_size: 0 }, /"batch_size" must be "auto" or a whole number/],
    ["a setting twice", { batch_size: 5, batchSize: 5 }, /are the same setting/],
    ["a transform that is no function", { transform: {} }, /"transform" must be a function/],
    ["a version that is no text", { transformVersion: 2 }, /"transformVersion" must be a string/],
    ["a signal that is none", { signal: { aborted: false } }, /"signal" must be an AbortSignal/],
    ["onProgress that is no function", { onProgress: true }, /"onProgress" must be a function/],
    ["a negative interval", { progressInterval: -1 }, /"progressInterval" must be/],
    ["an interval that is NaN", { progressInterval: Number.NaN }, /"progressInterval" must be/],
    ["an empty transferId", { transferId: "" }, /"transferId" must be a string of 1 to 200 characters/],
    ["a long transferId", { transferId: "x".repeat(201) }, /"transferId" must be/],
    ["a transferId that is not Unicode", { transferId: "\ud800" }, /"transferId" must be .* without lone surrogates/],
    ["resume that is no boolean", { resume: 1, transferId: "x" }, /"resume" must be true or false/],
    ["resume without transferId", { resume: true }, /"resume" needs the "transferId"/],
    ["a checkpoint store that is none", { checkpoint: {} }, /"checkpoint" must be a folder or a CheckpointStore/],
    ["null for a checkpoint store", { checkpoint: null }, /"checkpoint" must be/],
    ["a sink that is none", { deadLetters: true }, /"deadLetters" must be a file, a DeadLetterSink or false/],
  ])("are refused: %s", async (_, options, message) => {
    const source = new ScriptedStore(records(1));
    const run = new DefaultP2PTransferBridge().transfer(
      { service: source, endpoint: { endpointId: "a", storageType: "x" } },
      { service: new ScriptedStore(), endpoint: { endpointId: "b", storageType: "x" } },
      {},
      options as TransferOptions,
    );
    const error: unknown = await run.catch((thrown: unknown) => thrown);
    expect(isP2PError(error, "INVALID_CONFIG")).toBe(true);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toMatch(/^Invalid configuration: /);
    expect(source.reads).toBe(0);
  });

  it("that are undefined are not given", async () => {
    const result = await transfer(new ScriptedStore(records(2)), new ScriptedStore(), {
      transform: undefined,
      signal: undefined,
      transferId: undefined,
      resume: undefined,
      checkpoint: undefined,
      batchSize: undefined,
    });
    expect(result.successCount).toBe(2);
    expect(result.transferId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("go before the settings of the connection", async () => {
    const target = new ScriptedStore();
    const { parseConfig } = await import("../../src/engine.ts");
    const run = (options: TransferOptions) =>
      new DefaultP2PTransferBridge().transfer(
        { service: new ScriptedStore(records(6)), endpoint: { endpointId: "a", storageType: "x" } },
        { service: target, endpoint: { endpointId: "b", storageType: "x" } },
        {},
        options,
        parseConfig({ batch_size: 3 }),
      );
    await run({});
    await run({ batchSize: 2 });
    expect(target.sent.map((sent) => sent.length)).toEqual([3, 3, 2, 2, 2]);
  });

  it.each<[string, unknown]>([
    ["a query with an unknown key", { whre: {} }],
    ["a query with a bad limit", { limit: -1 }],
    ["no query", null],
  ])("do not help %s", async (_, query) => {
    await expect(
      transfer(new ScriptedStore(), new ScriptedStore(), {}, { query: query as P2PQuery }),
    ).rejects.toMatchObject({ code: "INVALID_QUERY" });
  });
});

describe("the state of a transfer", () => {
  afterAll(() => expect(existsSync(join(process.cwd(), ".omni-p2p"))).toBe(false));

  it("is in .omni-p2p below the working directory, when a transferId is given", async () => {
    const cwd = vi.spyOn(process, "cwd").mockReturnValue(folder);
    onTestFinished(() => cwd.mockRestore());
    const bridge = new DefaultP2PTransferBridge();
    const run = (options: TransferOptions, target = new ScriptedStore()) =>
      bridge.transfer(
        { service: new ScriptedStore(records(3)), endpoint: { endpointId: "a", storageType: "x" } },
        { service: target, endpoint: { endpointId: "b", storageType: "x" } },
        {},
        options,
      );
    await run({});
    expect(existsSync(join(folder, ".omni-p2p"))).toBe(false);
    await run({ transferId: "nightly" });
    expect(readdirSync(join(folder, ".omni-p2p"))).toEqual(["nightly.checkpoint.json"]);
    const result = await run(
      { transferId: "nightly" },
      new ScriptedStore([], { write: (call) => withFailures(call, () => refused()) }),
    );
    expect(result.deadLetters).toBe(join(folder, ".omni-p2p", "nightly.dead-letters.ndjson"));
    expect(readdirSync(join(folder, ".omni-p2p")).sort()).toEqual([
      "nightly.checkpoint.json",
      "nightly.dead-letters.ndjson",
    ]);
  });
});
