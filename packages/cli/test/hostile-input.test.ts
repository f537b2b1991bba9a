import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEndpoint } from "@omni/p2p-core";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { loadConfig } from "../src/config/load.ts";
import { expandDeep, expandVariables } from "../src/endpoints/environment.ts";
import { parseWhere } from "../src/query/where.ts";
import { UsageError } from "../src/usage-error.ts";

const folder = mkdtempSync(join(tmpdir(), "omni-p2p-hostile-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

async function refusal(path: string): Promise<Error> {
  try {
    await loadConfig(path);
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    return error as Error;
  }
  throw new Error("the config was taken");
}

describe("conditions", () => {
  it.each([" ".repeat(100_000), `${" ".repeat(100_000)}=`, "a".repeat(131_072 * 2), `a${" ".repeat(100_000)}b`])(
    "that are long and none are refused",
    (text) => {
      expect(() => parseWhere([text])).toThrow(UsageError);
    },
  );

  it("take time in proportion to their length: spaces within a name", () => {
    const start = performance.now();
    expect(() => parseWhere([`a${" ".repeat(131_000)}b`])).toThrow(UsageError);
    // By the square of the length it takes half a minute.
    expect(performance.now() - start).toBeLessThan(5000);
  });

  it("keep their meaning with spaces all over", () => {
    expect(parseWhere([`${" ".repeat(50_000)}a${" ".repeat(50_000)}=${" ".repeat(20_000)}1 `])).toEqual({ a: 1 });
    expect(() => parseWhere([`n=${"9".repeat(100_000)}`])).toThrow(/100000 digits/);
    expect(() => parseWhere([`n=${"9".repeat(100_000)}n`])).toThrow(UsageError);
  });
});

describe("a config file", () => {
  it.each([
    ["broken.json", '{"endpoints":{"a":"redis://u:hunter2@h"  "b":1}}', "JSON"],
    ["end.json", '{"password":"hunter2', "JSON"],
    ["broken.yaml", "endpoints:\n  a: redis://h\n   password: hunter2: x\n", "YAML"],
    ["alias.yaml", "endpoints:\n  a: *hunter2\n", "YAML"],
  ])("that is broken is not quoted: %s", async (name, text, form) => {
    const error = await refusal(file(name, text));
    expect(error.message).toContain(`is not valid ${form}`);
    expect(`${error.message} ${String(error.cause)}`).not.toContain("hunter2");
  });

  it("whose values are of the wrong kind is not quoted", async () => {
    const error = await refusal(file("wrong.json", '{"transfers":[{"source":"a","target":"b","query":"hunter2"}]}'));
    expect(error.message).toMatch(/transfers\[0\]\.query is not right/);
    expect(error.message).not.toContain("hunter2");
  });

  it("may begin with a byte-order mark, and merge keys", async () => {
    const json = await loadConfig(file("bom.json", '\ufeff{"endpoints":{"a":"sqlite:./a.db"}}'));
    expect(json.endpoints).toEqual({ a: "sqlite:./a.db" });
    const yaml = await loadConfig(
      file("merge.yaml", "endpoints:\n  a: &a\n    storageType: redis\n    host: h\n  b:\n    <<: *a\n    port: 7\n"),
    );
    expect(yaml.endpoints.b).toEqual({ storageType: "redis", host: "h", port: 7 });
  });

  it("has at most 256 kB", async () => {
    expect((await refusal(file("large.json", `{}${" ".repeat(256 * 1024)}`))).message).toMatch(/262144 is the most/);
  });
});

describe("variables in an endpoint", () => {
  const odd = "a+b c&d=é%/?#@:";
  afterEach(() => {
    delete process.env.P2P_ODD;
  });

  it("come as they are, wherever they stand", () => {
    process.env.P2P_ODD = odd;
    const expand = (text: string) => parseEndpoint(expandVariables(text, "The source"));
    // biome-ignore-start lint/suspicious/noTemplateCurlyInString: that is the form of a variable
    expect(expand("redis://h?prefix=app:${P2P_ODD}:").metadata).toEqual({ prefix: `app:${odd}:` });
    expect(expand("redis://h?prefix=${P2P_ODD}&count=5").metadata).toEqual({ prefix: odd, count: "5" });
    expect(expand("redis://u${P2P_ODD}:p${P2P_ODD}@h").metadata).toEqual({ username: `u${odd}`, password: `p${odd}` });
    expect(expand("mongodb://h/db-${P2P_ODD}").database).toBe(`db-${odd}`);
    expect(expand("sqlite:./x${P2P_ODD}.db?table=${P2P_ODD}")).toMatchObject({
      database: `./x${odd}.db`,
      metadata: { table: odd },
    });
    expect(expandDeep({ metadata: { prefix: "app:${P2P_ODD}:" } }, "it")).toEqual({
      metadata: { prefix: `app:${odd}:` },
    });
    process.env.P2P_ODD = "h1:1,h2:2";
    expect(expand("redis://${P2P_ODD}").metadata).toEqual({ hosts: "h1:1,h2:2" });
    process.env.P2P_ODD = "./x.db?table=t";
    expect(expand("sqlite:${P2P_ODD}")).toMatchObject({ database: "./x.db", metadata: { table: "t" } });
    // biome-ignore-end lint/suspicious/noTemplateCurlyInString: that is the form of a variable
  });
});
