import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { countOf, deleteOf, lacksOf, lookUpOf, openStore, StarterRegistry } from "../../src/engine.ts";
import { DefaultP2PConnectionManager, type P2PStarter } from "../../src/index.ts";
import type * as current from "../../src/starter.ts";
import {
  CONTRACT_VERSION,
  type EndpointInfo,
  type P2PDataTransferService,
  registerStarter,
} from "../../src/starter.ts";
import { temporaryFolder } from "../support/folder.ts";
import { records, ScriptedStore } from "../support/scripted-store.ts";

const never = new AbortController().signal;
const context = { role: "source", signal: never, connectTimeoutMs: 1000 } as const;
const endpoint: EndpointInfo = { endpointId: "e", storageType: "other" };

/** A store as starters of contract 1 make it. */
function oldStore(): P2PDataTransferService {
  const store = new ScriptedStore(records(20));
  const { lookUp: _, deletes: __, changes: ___, ...capabilities } = store.capabilities;
  return Object.assign(store, { capabilities, identity: undefined }) as never;
}

function starterOf(store: unknown, contractVersion: unknown = CONTRACT_VERSION, storageType = "other"): P2PStarter {
  return { storageType, contractVersion, options: {}, open: async () => store } as never;
}

/** A good store with something else in it. */
function storeWith(more: object, capabilities: object = {}): P2PDataTransferService {
  const store = new ScriptedStore(records(3));
  return Object.assign(store, more, { capabilities: { ...store.capabilities, ...capabilities } }) as never;
}

const opening = (starter: P2PStarter): Promise<unknown> =>
  openStore(starter, endpoint, context).catch((e: unknown) => e);

describe("a starter of contract 1", () => {
  it("copies, and lacks what came since", async () => {
    await using manager = new DefaultP2PConnectionManager();
    const target = new ScriptedStore();
    manager.registerService("old", starterOf(oldStore(), 1, "old"));
    manager.registerService("new", starterOf(target, CONTRACT_VERSION, "new"));
    const { connectionId } = await manager.establish({ storageType: "old" }, { storageType: "new" });
    const result = await manager.transferThroughConnection(connectionId, {}, { deadLetters: false });
    expect(result).toMatchObject({ successCount: 20, failureCount: 0 });
    expect(target.content.size).toBe(20);
    expect(lacksOf(starterOf(oldStore(), 1))).toEqual(["look-ups", "deletes", "a feed of changes"]);
  });

  it("is opened with no abilities that it does not have, and with an identity of which nothing is known", async () => {
    const store = await openStore(starterOf(oldStore(), 1), endpoint, context);
    expect(store.capabilities).toMatchObject({ lookUp: false, deletes: false, changes: false, resumable: true });
    expect(await store.identity(never)).toEqual({ volatile: true });
  });

  it("keeps its raw lanes, its identity and what it can do already", async () => {
    const rawSource = { format: "old" };
    const identity = async () => ({ thing: "it" });
    const lookUp = async () => [{ state: "absent" }];
    const old = Object.assign(oldStore(), { rawSource, identity, lookUp });
    Object.assign(old.capabilities, { lookUp: true });
    const store = await openStore(starterOf(old, 1), endpoint, context);
    expect(store.rawSource).toBe(rawSource);
    expect(await store.identity(never)).toEqual({ thing: "it" });
    expect(await lookUpOf({ service: store, endpoint })([{ id: 1 }], {}, { signal: never })).toEqual([
      { state: "absent" },
    ]);
    expect(store.capabilities).toMatchObject({ lookUp: true, deletes: false });
  });

  it("names the starter and the way out when a look-up or a delete is asked of it", async () => {
    const service = await openStore(starterOf(oldStore(), 1), endpoint, context);
    for (const [ask, what] of [
      [lookUpOf, "look records up by their ids"],
      [deleteOf, "delete records"],
    ] as const) {
      expect(() => ask({ service, endpoint })).toThrow(
        expect.objectContaining({
          code: "UNSUPPORTED_OPERATION",
          message: expect.stringMatching(
            new RegExp(`cannot ${what}: the starter for 'other' .* Upgrade the starter to one of contract 2`),
          ),
        }),
      );
    }
  });
});

describe("a version of the contract", () => {
  it.each([
    [3, /speaks version 3 .* speaks 2; upgrade @omni\/p2p-core/],
    [0, /speaks version 0 .* upgrade the starter/],
    [1.5, /speaks version 1.5 .* upgrade the starter/],
    ["2", /speaks version 2 .* upgrade the starter/],
    [undefined, /speaks version undefined .* upgrade the starter/],
    [Number.NaN, /speaks version NaN .* upgrade the starter/],
  ])("%s is refused with the side to upgrade", (version, message) => {
    const starter = { ...starterOf(undefined), contractVersion: version } as never;
    expect(() => new StarterRegistry().register("other", starter)).toThrow(
      expect.objectContaining({ code: "STARTER_INCOMPATIBLE", message: expect.stringMatching(message) }),
    );
  });
});

describe("a starter that does not keep its word", () => {
  it.each<[string, unknown, RegExp]>([
    ["gives no service", undefined, /open\(\) gave no service/],
    ["gives a text", "service", /open\(\) gave no service/],
    ["cannot write", storeWith({ writeToTarget: undefined }), /without writeToTarget\(\)/],
    ["has no count", storeWith({ count: 5 }), /without count\(\)/],
    ["has no capabilities", Object.assign(storeWith({}), { capabilities: undefined }), /without capabilities/],
    ["is vague", storeWith({}, { countable: "yes" }), /capabilities.countable is "yes", and must be true or false/],
    ["tells nothing", storeWith({}, { shareable: undefined }), /capabilities.shareable is undefined/],
    ["writes 0 at a time", storeWith({}, { writeConcurrency: 0 }), /writeConcurrency is 0, and must be a whole number/],
    ["writes 1.5 at a time", storeWith({}, { writeConcurrency: 1.5 }), /writeConcurrency is 1.5/],
    ["writes NaN at a time", storeWith({}, { writeConcurrency: Number.NaN }), /writeConcurrency is NaN/],
    ["writes without end", storeWith({}, { writeConcurrency: Infinity }), /writeConcurrency is Infinity/],
    ["writes a text at a time", storeWith({}, { writeConcurrency: "4" }), /writeConcurrency is "4"/],
    ["tells no types", storeWith({}, { valueTypes: undefined }), /valueTypes.null is undefined/],
    ["tells types in its own words", storeWith({}, { valueTypes: { null: "yes" } }), /valueTypes.null is "yes"/],
    ["does not say whether it looks up", storeWith({}, { lookUp: undefined }), /capabilities.lookUp is undefined/],
    ["says that it looks up", storeWith({}, { lookUp: true }), /capabilities.lookUp is true, and there is no lookUp/],
    ["says that it deletes", storeWith({}, { deletes: true }), /deletes is true, and there is no deleteFromTarget/],
    ["says that it has a feed", storeWith({}, { changes: true }), /changes is true, and there is no changes/],
  ])("%s: is named when it opens, with the way out", async (_, store, message) => {
    const error = (await opening(starterOf(store))) as Error & { code?: string };
    expect(error.code).toBe("STARTER_INCOMPATIBLE");
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(
      /^The starter for 'other' does not keep the adapter contract: .*\. Upgrade the starter, or tell/,
    );
    if (store instanceof ScriptedStore) expect(store.closings).toBe(1);
  });

  it("is told apart from one that fails to open", async () => {
    const failing = { ...starterOf(undefined), open: () => Promise.reject(new Error("no way")) } as P2PStarter;
    expect((await opening(failing)) as Error).toMatchObject({ message: "no way" });
  });

  it("is named by a connection too, and nothing is left open", async () => {
    await using manager = new DefaultP2PConnectionManager();
    const [good, bad] = [new ScriptedStore(records(3)), storeWith({}, { lookUp: true })];
    manager.registerService("good", starterOf(good, CONTRACT_VERSION, "good"));
    manager.registerService("bad", starterOf(bad, CONTRACT_VERSION, "bad"));
    await expect(manager.establish({ storageType: "good" }, { storageType: "bad" })).rejects.toMatchObject({
      code: "STARTER_INCOMPATIBLE",
      message: expect.stringContaining("The starter for 'bad'"),
    });
    await manager.close();
    expect([good.isClosed, (bad as unknown as ScriptedStore).isClosed]).toEqual([true, true]);
  });

  it.each([-1, 1.5, Number.NaN, "12", null, {}])(
    "counts %s records: is named, and no number is believed",
    async (count) => {
      const store = storeWith({ count: async () => count });
      await expect(countOf(store, {}, never)).rejects.toMatchObject({
        code: "STARTER_INCOMPATIBLE",
        message: expect.stringContaining("capabilities.countable is true"),
      });
      expect(await countOf(storeWith({ count: async () => undefined }), {}, never)).toBeUndefined();
      expect(await countOf(storeWith({ count: async () => 0 }), {}, never)).toBe(0);
    },
  );
});

describe("a starter that another copy of the core has registered", () => {
  const shared = Symbol.for("@omni/p2p-core/starters");
  const processStarters = () => (globalThis as unknown as Record<symbol, Map<string, P2PStarter>>)[shared]!;

  function forgetLater(type: string): void {
    onTestFinished(() => void processStarters().delete(type));
  }

  it("is taken when both speak its version", async () => {
    forgetLater("shared");
    registerStarter(starterOf(undefined, 1, "shared"));
    expect((await new StarterRegistry().resolve("shared")).contractVersion).toBe(1);
  });

  it("is refused otherwise, with the versions and places of both and the way out", async () => {
    forgetLater("theirs");
    // A copy that speaks a later contract: the same code, whose number was raised.
    const folder = join(temporaryFolder(), "later");
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "package.json"), '{"name":"@omni/p2p-core","version":"9.8.7","type":"module"}');
    await cp(join(import.meta.dirname, "../../src"), join(folder, "src"), { recursive: true });
    const contract = join(folder, "src/storage/service.ts");
    const text = await readFile(contract, "utf8");
    await writeFile(contract, text.replace(/CONTRACT_VERSION = \d+/, `CONTRACT_VERSION = ${CONTRACT_VERSION + 1}`));
    const later = (await import(pathToFileURL(join(folder, "src/starter.ts")).href)) as typeof current;
    later.registerStarter(starterOf(undefined, CONTRACT_VERSION + 1, "theirs"));
    const error = await new StarterRegistry().resolve("theirs").catch((thrown: unknown) => thrown as Error);
    expect(error).toMatchObject({ code: "STARTER_INCOMPATIBLE" });
    const message = (error as Error).message;
    expect(message).toContain(`registered by the copy 9.8.7 in ${folder}`);
    expect(message).toMatch(/this copy is 0\.\d+\.\d+ in .*core/);
    expect(message).toContain("npm dedupe");
  });

  it("is refused too when that copy does not say which it is", async () => {
    forgetLater("older");
    processStarters().set("older", starterOf(undefined, CONTRACT_VERSION + 1, "older"));
    await expect(new StarterRegistry().resolve("older")).rejects.toMatchObject({
      message: expect.stringContaining("registered by another, older copy"),
    });
  });
});
