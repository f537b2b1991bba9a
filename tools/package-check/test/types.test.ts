import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { execute, pack, publishedPackages, root } from "../src/packages.ts";

// Below the temporary folder, where nothing of this repository is found by looking upwards.
const folder = realpathSync(mkdtempSync(join(tmpdir(), "omni-p2p-types-")));
const names = [
  "core",
  ...["memory", "sqlite", "redis", "mongodb", "elasticsearch", "postgresql", "file"].map((store) => `starter-${store}`),
];

/** An application with the published files of core and the starters, and nothing that these do not name themselves. */
beforeAll(async () => {
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, "@types"), { recursive: true });
  for (const name of names) {
    const { name: published, folder: from } = publishedPackages().find(({ folder: at }) => at.endsWith(`/${name}`))!;
    const tarball = await pack(from, join(folder, "tarballs"));
    const into = join(modules, published);
    mkdirSync(into, { recursive: true });
    await execute("tar", ["-xzf", tarball, "-C", into, "--strip-components=1"], root);
  }
  const require = createRequire(join(root, "package.json"));
  symlinkSync(dirname(require.resolve("@types/node/package.json")), join(modules, "@types/node"));
  const ofCore = createRequire(join(root, "packages/core/package.json"));
  symlinkSync(dirname(ofCore.resolve("zod/package.json")), join(modules, "zod"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "types", private: true, type: "module" }));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const RESOLUTIONS = [
  { moduleResolution: "nodenext", module: "nodenext" },
  { moduleResolution: "bundler", module: "esnext" },
] as const;

/** What the compiler says of a file, as `code line`, one for each error; those of declarations have their file. */
async function errorsOf(code: string, resolution: (typeof RESOLUTIONS)[number]): Promise<string[]> {
  const file = `${resolution.moduleResolution}.ts`;
  writeFileSync(join(folder, file), code);
  const config = `tsconfig.${resolution.moduleResolution}.json`;
  writeFileSync(
    join(folder, config),
    JSON.stringify({
      compilerOptions: {
        ...resolution,
        ...{ target: "es2024", lib: ["es2024", "esnext.disposable"], types: ["node"], noEmit: true },
        ...{ strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false },
      },
      files: [file],
    }),
  );
  const tsc = createRequire(join(root, "package.json")).resolve("typescript/bin/tsc");
  const said = await execute(process.execPath, [tsc, "-p", config, "--pretty", "false"], folder).then(
    () => "",
    (error: Error) => error.message,
  );
  return [...said.matchAll(/^(\S+)\((\d+),\d+\): error (TS\d+)/gm)].map(([, at, line, number]) =>
    at === file ? `${number} ${code.split("\n")[Number(line) - 1]!.trim()}` : `${number} in ${at}`,
  );
}

const registered = (name: string) => `import "@omni/p2p-starter-${name}/register";`;

describe.each(RESOLUTIONS)("with moduleResolution $moduleResolution and skipLibCheck false", (resolution) => {
  it("all published types compile, through every door", async () => {
    const doors = names.flatMap((name) => {
      const manifest = JSON.parse(readFileSync(join(root, "packages", name, "package.json"), "utf8")) as {
        name: string;
        exports: Record<string, unknown>;
      };
      return Object.keys(manifest.exports)
        .filter((door) => !door.endsWith(".json"))
        .map((door) => join(manifest.name, door));
    });
    expect(doors.length).toBeGreaterThan(10);
    const lines = doors.map((door, at) => `import * as d${at} from "${door}"; void d${at};`);
    expect(await errorsOf(lines.join("\n"), resolution)).toEqual([]);
  });

  it("a starter's /register alone types its native queries", async () => {
    const code = `import type { P2PQuery } from "@omni/p2p-core";
${["redis", "sqlite", "mongodb", "elasticsearch", "postgresql"].map(registered).join("\n")}
const length: number | undefined = 5;
export const good: P2PQuery[] = [
  { native: { redis: { match: "a*", type: undefined } } },
  { native: { sqlite: { where: "length(body) > ?", params: [length] } } },
  { native: { mongodb: { filter: { tags: { $all: ["a"] } }, hint: undefined } } },
  { native: { elasticsearch: { query: { match: { body: "x" } } }, redis: undefined } },
  { native: { postgresql: { sql: "SELECT * FROM docs WHERE length(body) > $1", params: [5n], key: undefined } } },
];
export const wrong: P2PQuery[] = [
  { native: { redis: { mach: "a*" } } },
  { native: { sqlite: { where: 5 } } },
  { native: { mongodb: { filter: "x" } } },
  { native: { elasticsearch: { query: "x" } } },
  { native: { postgresql: { sql: 5 } } },
  { native: { postgres: {} } },
];`;
    const errors = await errorsOf(code, resolution);
    expect(errors.map((error) => error.replace(/^TS\d+ /, ""))).toEqual(
      code
        .split("\n")
        .slice(-7, -1)
        .map((line) => line.trim()),
    );
  });

  it("records have types: transforms that set fields and return interfaces, schemas, reads", async () => {
    const code = `import type { ConnectionConfigInput, P2PConnection, P2PQuery, ManagerOptions, Transform, VerifyOptions } from "@omni/p2p-core";
import { DefaultP2PConnectionManager } from "@omni/p2p-core";
import { z } from "zod";
interface Doc { id: string; title: string; tags?: string[]; meta: { at: Date } }
interface Out { readonly id: string; readonly headline: string }
declare const connection: P2PConnection;
declare const manager: DefaultP2PConnectionManager;
declare const maybe: number | undefined;
declare const text: string | undefined;
declare const stop: AbortSignal | undefined;
export const sets: Transform = (r) => { r.title = "x"; delete r.old; return r; };
export const returns: Transform = (r): Out => ({ id: String(r.id), headline: "x" });
export const several: Transform = async (r): Promise<readonly Out[]> => [{ id: String(r.id), headline: "x" }];
export const typed: Transform<Doc, Out> = (doc) => { doc.title = "y"; return { id: doc.id, headline: doc.title }; };
const limited: P2PQuery = { limit: maybe, offset: maybe, type: text, fields: undefined, orderBy: undefined, where: undefined };
const config: ConnectionConfigInput = { batchSize: maybe, description: text, max_retries: maybe };
const pool: ManagerOptions["pool"] = { maxConnections: maybe, idleTtl: maybe };
const compare: VerifyOptions<Doc> = { transform: typed, batchSize: maybe, signal: stop };
export async function use() {
  await manager.establish({ storageType: "redis", host: text, port: maybe, endpointId: text }, "memory:x", config, { signal: stop });
  await connection.transfer<Doc>(limited, { transform: typed, signal: stop, batchSize: maybe, deadLetters: undefined });
  await manager.transferThroughConnection("id", limited, 100);
  await manager.transferThroughConnection("id", limited, { transform: (r) => { r.title = 1; return r; } });
  await manager.transferThroughConnection<Doc>("id", limited, { transform: typed });
  await connection.transfer({}, { schema: z.object({ id: z.string(), n: z.coerce.number() }), transform: (doc) => ({ id: doc.id, half: doc.n / 2 }) });
  await connection.verify({}, compare);
  for await (const { records } of connection.read<Doc>({}, { signal: stop, batchSize: maybe })) records[0]?.title.trim();
  for await (const { records } of connection.read({}, { schema: z.object({ id: z.string(), n: z.number() }) })) records[0]?.n.toFixed();
  new DefaultP2PConnectionManager({ config, pool, appRoot: text });
  connection.events.on("progress", ({ transferId, progress }) => transferId.trim() + progress.records.toFixed());
  // wrong from here on
  await connection.transfer<Doc>({}, { transform: (doc) => ({ id: doc.id, headline: doc.headline }) });
  await connection.transfer({}, { transform: () => ({ headline: "no id" }) });
  await connection.transfer({}, { schema: z.object({ id: z.string() }), transform: (doc) => ({ id: doc.missing }) });
  await manager.transferThroughConnection("id", {}, "100");
}`;
    const lines = code.split("\n").map((line) => line.trim());
    const wrong = lines.slice(lines.indexOf("// wrong from here on") + 1, -1);
    const errors = await errorsOf(code, resolution);
    expect([...new Set(errors.map((error) => error.replace(/^TS\d+ /, "")))]).toEqual(wrong);
  });
});
