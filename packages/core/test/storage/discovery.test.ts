import { chmod, chown, mkdir, realpath, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { type InstalledStarter, installedStarters, loadStarter, StarterRegistry } from "../../src/engine.ts";
import { DefaultP2PConnectionManager, isP2PError, type P2PStarter } from "../../src/index.ts";
import { CONTRACT_VERSION, registerStarter } from "../../src/starter.ts";
import { temporaryFolder, writeFiles } from "../support/folder.ts";

const root = temporaryFolder();
let apps = 0;

/** A new application with these files. */
async function application(files: Record<string, unknown>): Promise<string> {
  const folder = join(root, `app-${++apps}`);
  await writeFiles(folder, files);
  return folder;
}

const code = (type: string, version: unknown = CONTRACT_VERSION) =>
  `export const other = 5;\nexport const ${type}Starter = { storageType: "${type}", contractVersion: ${JSON.stringify(version)}, options: {}, open: async () => "${type}" };\n`;

/** The files of a starter's package. */
function starterPackage(name: string, type: string, folder = `node_modules/${name}`, more: object = {}) {
  return {
    [`${folder}/package.json`]: {
      name,
      version: "1.2.3",
      type: "module",
      exports: { ".": { types: "./index.d.ts", default: "./main.js" } },
      omniP2p: { storageType: type },
      ...more,
    },
    [`${folder}/main.js`]: code(type),
  };
}

const types = (starters: readonly InstalledStarter[]) => starters.map(({ storageType }) => storageType).sort();

describe("installed starters", () => {
  it("are those among the application's own dependencies, of every kind", async () => {
    const app = await application({
      "package.json": {
        dependencies: { "@acme/p2p-one": "1", lodash: "4", missing: "1", events: "1" },
        devDependencies: { two: "1" },
        optionalDependencies: { three: "1" },
        peerDependencies: { four: "1" },
      },
      ...starterPackage("@acme/p2p-one", "one"),
      ...starterPackage("two", "two"),
      ...starterPackage("three", "three"),
      ...starterPackage("four", "four"),
      ...starterPackage("undeclared", "undeclared"),
      "node_modules/lodash/package.json": { name: "lodash" },
    });
    const starters = installedStarters(app);
    expect(types(starters)).toEqual(["four", "one", "three", "two"]);
    expect(starters[0]).toEqual({
      storageType: "one",
      packageName: "@acme/p2p-one",
      version: "1.2.3",
      directory: await realpath(join(app, "node_modules/@acme/p2p-one")),
    });
    expect(await (await loadStarter(starters[0]!)).open(undefined as never, undefined as never)).toBe("one");
  });

  it("are found through symbolic links, as pnpm lays them", async () => {
    const store = "node_modules/.pnpm/linked@1.0.0/node_modules/linked";
    const app = await application({
      "package.json": { dependencies: { linked: "1" } },
      ...starterPackage("linked", "linked", store),
    });
    await symlink(join(app, store), join(app, "node_modules/linked"));
    const [starter] = installedStarters(app);
    expect(starter).toMatchObject({ storageType: "linked", directory: await realpath(join(app, store)) });
    expect((await loadStarter(starter!)).storageType).toBe("linked");
  });

  it("are found from a folder below, and in the folders above of a monorepo, the nearest first", async () => {
    const app = await application({
      "package.json": { dependencies: { shared: "1", both: "1" } },
      ...starterPackage("shared", "shared"),
      ...starterPackage("both", "both"),
      "packages/api/package.json": { dependencies: { own: "1", both: "2", hoisted: "1" } },
      ...starterPackage("own", "own", "packages/api/node_modules/own"),
      ...starterPackage("both", "both", "packages/api/node_modules/both", { version: "2.0.0" }),
      ...starterPackage("hoisted", "hoisted"),
      "packages/api/dist/package.json": { type: "module" },
    });
    const starters = installedStarters(join(app, "packages/api/dist/deep"));
    expect(types(starters)).toEqual(["both", "hoisted", "own", "shared"]);
    expect(starters.find(({ storageType }) => storageType === "both")!.version).toBe("2.0.0");
  });

  it("are found beside packages that are broken", async () => {
    const app = await application({
      "package.json": { dependencies: { torn: "1", nothing: "1", wrong: "1", linkless: "1", whole: "1" } },
      "node_modules/torn/package.json": '{"name": "torn", ',
      "node_modules/nothing/package.json": "null",
      "node_modules/wrong/package.json": { omniP2p: { storageType: 5 } },
      ...starterPackage("whole", "whole"),
    });
    await symlink(join(app, "gone"), join(app, "node_modules/linkless"));
    expect(types(installedStarters(app))).toEqual(["whole"]);
  });

  it("are none where the application's own manifest is broken or missing", async () => {
    expect(installedStarters(await application({ "package.json": "[1,", "a.js": "" }))).toEqual([]);
    expect(installedStarters(join(root, "not-there"))).toEqual([]);
  });

  describe.runIf(process.geteuid !== undefined)("that others may have laid there", () => {
    /** Gives a path to another user, which only root can do; or lets others write it. */
    const give = async (path: string) => (process.geteuid?.() === 0 ? chown(path, 12345, 12345) : chmod(path, 0o777));

    it.each(["package.json", "node_modules", "node_modules/planted"])("are not loaded: %s", async (place) => {
      const app = await application({
        "package.json": { name: "app", dependencies: { planted: "1" } },
        ...starterPackage("planted", "planted"),
      });
      await give(join(app, place));
      expect(installedStarters(app)).toEqual([]);
      const refusal = await new StarterRegistry(app).resolve("planted").catch((error: unknown) => error);
      expect(isP2PError(refusal, "SERVICE_NOT_FOUND")).toBe(true);
      expect((refusal as Error).message).toMatch(
        /is installed, and is not loaded: .*(another|other) users?; if it may/,
      );
      vi.stubEnv("OMNI_P2P_TRUSTED_PROJECT", app);
      onTestFinished(() => void vi.unstubAllEnvs());
      expect(types(installedStarters(app))).toEqual(["planted"]);
    });

    it("are not loaded from a folder that everybody may write, nor from a parent of it", async () => {
      const parent = await application({
        "package.json": { name: "parent", dependencies: { planted: "1" } },
        ...starterPackage("planted", "planted"),
        "own/package.json": { name: "own", dependencies: { mine: "1", planted: "1" } },
        ...starterPackage("mine", "mine", "own/node_modules/mine"),
      });
      await chmod(join(parent, "node_modules"), 0o777);
      expect(types(installedStarters(join(parent, "own")))).toEqual(["mine"]);
      await chmod(join(parent, "own"), 0o777);
      expect(installedStarters(join(parent, "own"))).toEqual([]);
    });

    it("are loaded where only the user's own group may write too", async () => {
      const app = await application({
        "package.json": { dependencies: { one: "1" } },
        ...starterPackage("one", "one"),
      });
      await chmod(app, 0o775);
      const { uid, gid } = await stat(app);
      expect(types(installedStarters(app))).toEqual(uid === gid ? ["one"] : []);
    });
  });

  it("are those of the nearest project alone, where that is asked for", async () => {
    const app = await application({
      "package.json": { name: "above", dependencies: { above: "1" } },
      ...starterPackage("above", "above"),
      "own/package.json": { name: "own", dependencies: { mine: "1" } },
      "own/dist/package.json": { type: "module" },
      ...starterPackage("mine", "mine", "own/node_modules/mine"),
    });
    expect(types(installedStarters(join(app, "own/dist"), "project"))).toEqual(["mine"]);
    expect(types(installedStarters(join(app, "own/dist")))).toEqual(["above", "mine"]);
  });

  it.each([
    ["pnpm-lock.yaml", "pnpm add"],
    ["yarn.lock", "yarn add"],
    ["bun.lock", "bun add"],
    ["package-lock.json", "npm install"],
  ])("are advised in the words of the package manager that the project uses: %s", async (file, command) => {
    const app = await application({ "package.json": { name: "app" }, [file]: "" });
    await expect(new StarterRegistry(app).resolve("redis")).rejects.toThrow(`${command} @omni/p2p-starter-redis`);
  });

  it("are looked for from the working directory when nothing is said", async () => {
    const app = await application({ "package.json": { dependencies: { cwd: "1" } }, ...starterPackage("cwd", "cwd") });
    const cwd = vi.spyOn(process, "cwd").mockReturnValue(app);
    onTestFinished(() => cwd.mockRestore());
    expect(types(installedStarters())).toContain("cwd");
  });

  it.each<[string, object, string]>([
    ["exports as text", { exports: "./main.js" }, "main.js"],
    ["conditions at the top", { exports: { import: "./main.js" } }, "main.js"],
    [
      "nested conditions",
      { exports: { ".": { browser: "./no.js", node: { import: { types: "./x.d.ts", default: "./main.js" } } } } },
      "main.js",
    ],
    ["main", { exports: undefined, main: "main.js" }, "main.js"],
    ["nothing but index.js", { exports: undefined }, "index.js"],
  ])("are loaded by %s", async (_, manifest, file) => {
    const app = await application({
      "package.json": { dependencies: { entry: "1" } },
      ...starterPackage("entry", "entry", undefined, manifest),
      [`node_modules/entry/${file}`]: code("entry"),
    });
    expect((await loadStarter(installedStarters(app)[0]!)).storageType).toBe("entry");
  });
});

describe("the registry", () => {
  const registry = async (files: Record<string, unknown>) => new StarterRegistry(await application(files));

  it("loads an installed starter when it is first asked for", async () => {
    const starters = await registry({
      "package.json": { dependencies: { lazy: "1" } },
      ...starterPackage("lazy", "lazy"),
    });
    const starter = await starters.resolve("lazy");
    expect(starter.storageType).toBe("lazy");
    expect(await starters.resolve("lazy")).toBe(starter);
  });

  it("prefers what is registered by hand, then for the process, then what is installed", async () => {
    const starters = await registry({
      "package.json": { dependencies: { rank: "1" } },
      ...starterPackage("rank", "rank"),
    });
    const make = (): P2PStarter => ({
      storageType: "rank",
      contractVersion: CONTRACT_VERSION,
      options: {},
      open: async () => undefined as never,
    });
    const [own, shared] = [make(), make()];
    registerStarter(shared);
    expect(await starters.resolve("rank")).toBe(shared);
    starters.register("rank", own);
    expect(await starters.resolve("rank")).toBe(own);
  });

  it("says with the guide's words that there is none, and what to install", async () => {
    const starters = await registry({ "package.json": {} });
    const message = async (type: string) => {
      const error: unknown = await starters.resolve(type).catch((thrown: unknown) => thrown);
      expect(isP2PError(error, "SERVICE_NOT_FOUND")).toBe(true);
      return (error as Error).message;
    };
    expect(await message("redis")).toBe(
      "Failed to establish connection: Service not found for storage type 'redis'. Install its starter: npm install @omni/p2p-starter-redis",
    );
    expect(await message("xxx")).toBe(
      "Failed to establish connection: Service not found for storage type 'xxx'. No starter for it is among the application's dependencies. " +
        "The project's starters are @omni/p2p-starter-memory, @omni/p2p-starter-sqlite, @omni/p2p-starter-redis, @omni/p2p-starter-mongodb, " +
        "@omni/p2p-starter-elasticsearch, @omni/p2p-starter-postgresql, @omni/p2p-starter-file; one of your own is registered with manager.registerService(type, starter)",
    );
    expect(await message("postgres")).toContain('(did you mean "postgresql"?)');
    expect(await message("elasticserch")).toContain('(did you mean "elasticsearch"?)');
    expect(await message("constructor")).toContain("Service not found for storage type 'constructor'");
  });

  it("says it when a connection is to be established, too", async () => {
    const manager = new DefaultP2PConnectionManager({ appRoot: await application({ "package.json": {} }) });
    await expect(manager.establish("xxx:a", "xxx:b")).rejects.toThrow(
      "Failed to establish connection: Service not found for storage type 'xxx'",
    );
    await manager.close();
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ["cannot be parsed", { "main.js": "export const = 5;" }, /The installed starter bad could not be loaded: /],
    [
      "throws when it is loaded",
      { "main.js": "throw new Error('no client library');" },
      /bad could not be loaded: no client library/,
    ],
    ["throws what is no error", { "main.js": "throw 'tantrum';" }, /bad could not be loaded: tantrum/],
    [
      "lacks a dependency",
      { "main.js": "import 'a-client-that-is-missing';" },
      /bad could not be loaded: .*a-client-that-is-missing/,
    ],
    ["has no entry file", { "main.js": undefined as never }, /bad could not be loaded: /],
    [
      "exports no starter",
      { "main.js": "export const x = null, y = { storageType: 'bad' };" },
      /bad is marked as the starter for 'bad' but exports none/,
    ],
    [
      "exports another type's starter",
      { "main.js": code("good") },
      /bad is marked as the starter for 'bad' but exports none/,
    ],
    [
      "was built for an older contract",
      { "main.js": code("bad", 0) },
      /speaks version 0 of the adapter contract and @omni\/p2p-core speaks 2; upgrade the starter/,
    ],
    ["was built for a newer contract", { "main.js": code("bad", 3) }, /speaks version 3 .* upgrade @omni\/p2p-core/],
    ["does not say for which contract", { "main.js": code("bad", null) }, /speaks version null/],
  ])("refuses an installed starter that %s", async (_, files, message) => {
    const [[name, content]] = Object.entries(files) as [[string, string | undefined]];
    const app = await application({ "package.json": { dependencies: { bad: "1" } }, ...starterPackage("bad", "bad") });
    if (content === undefined) {
      const { rm } = await import("node:fs/promises");
      await rm(join(app, "node_modules/bad", name));
    } else {
      await writeFiles(join(app, "node_modules/bad"), { [name]: content });
    }
    const error: unknown = await new StarterRegistry(app).resolve("bad").catch((thrown: unknown) => thrown);
    expect((error as Error).message).toMatch(message);
    expect(isP2PError(error, "STARTER_INCOMPATIBLE")).toBe(true);
  });

  it("refuses what is no starter, by hand and for the process", async () => {
    const starters = await registry({ "package.json": {} });
    for (const thing of [undefined, null, {}, { storageType: "x" }, { open: () => {}, contractVersion: 1 }, "sqlite"]) {
      for (const register of [() => starters.register("x", thing as never), () => registerStarter(thing as never)]) {
        expect(register).toThrow(/is not a starter: it has no open\(\)/);
        expect(register).toThrow(expect.toSatisfy((error) => isP2PError(error, "STARTER_INCOMPATIBLE")));
      }
    }
  });

  it("does not take a folder without a manifest for a package", async () => {
    const app = await application({ "package.json": { dependencies: { hollow: "1" } } });
    await mkdir(join(app, "node_modules/hollow"), { recursive: true });
    await expect(new StarterRegistry(app).resolve("hollow")).rejects.toThrow(
      /Service not found for storage type 'hollow'/,
    );
  });
});
