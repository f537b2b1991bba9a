import { ConnectionStatus, DefaultP2PConnectionManager } from "@omni/p2p-core";
import { parseConfig } from "@omni/p2p-core/engine";
import { memoryStore } from "@omni/p2p-starter-memory";
import { afterEach, describe, expect, it, vi } from "vitest";
import { membersOf, wordsOf } from "./declarations.ts";
import { readMarkdown, tables } from "./markdown.ts";

/** The names in code marks in the first columns of the tables whose head begins so. */
function named(file: string, head: readonly string[], columns = 1): string[] {
  const rows = tables(file)
    .filter(([first]) => head.includes(first![0]!))
    .flatMap(([, ...rest]) => rest);
  return rows.flatMap((row) =>
    row.slice(0, columns).flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!)),
  );
}

/** The names of methods and properties, without parameters. */
function bare(names: readonly string[]): string[] {
  return names.map((name) => name.replace(/[(?].*$/, ""));
}

const pages = [
  { language: "English", folder: "docs" },
  { language: "Chinese", folder: "docs/zh" },
] as const;

describe.each(pages)("the facts in $language", ({ folder }) => {
  const connections = `${folder}/guide/connections.md`;
  const transfers = `${folder}/guide/transfers.md`;

  it("has every setting in both spellings, with its default", () => {
    const config = parseConfig();
    const names = Object.keys(parseConfig({ description: "", maxFailures: "all", as: {}, rateLimit: 1 }));
    const rows = tables(connections)
      .find(([head]) => ["setting", "设置"].includes(head![0]!))!
      .slice(1);
    const shown = rows.map(([snake, camel, value]) => [snake, camel, value].map((cell) => cell!.replaceAll("`", "")));
    const wanted = names.map((name) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      name,
      String(config[name as keyof typeof config] ?? (folder === "docs" ? "none" : "无")),
    ]);
    expect(shown.toSorted()).toEqual(wanted.toSorted());
  });

  it("has every statistic", async () => {
    memoryStore("facts");
    await using manager = new DefaultP2PConnectionManager({ appRoot: import.meta.dirname });
    const { connectionId } = await manager.establish("memory:facts", "memory:facts-copy");
    const names = Object.keys(manager.getConnectionStatistics(connectionId));
    expect(named(connections, ["name", "名称"]).toSorted()).toEqual(names.toSorted());
  });

  it("has every state", () => {
    expect([...new Set(named(connections, ["state", "状态"]))].toSorted()).toEqual(
      Object.keys(ConnectionStatus).toSorted(),
    );
  });

  it("has every member of a connection, a manager, its events and its pool", () => {
    const interfaces = ["P2PConnection", "P2PConnectionManager"].flatMap((name) => membersOf("core", name));
    expect(bare(named(connections, ["member", "method", "成员", "方法"])).toSorted()).toEqual(interfaces.toSorted());
    expect(named(connections, ["event", "事件"]).toSorted()).toEqual(membersOf("core", "EventsOf").toSorted());
    const pool = named(connections, ["option", "选项"]);
    expect(pool.toSorted()).toEqual(membersOf("core", "PoolOptions").toSorted());
  });

  it("has every key and operator of a query", () => {
    expect(named(transfers, ["key", "键"]).toSorted()).toEqual(membersOf("core", "P2PQuery").toSorted());
    const operators = named(transfers, ["condition", "条件"]).flatMap((text) => /^\{ (\w+)/.exec(text)?.[1] ?? []);
    expect([...new Set(operators)].toSorted()).toEqual(membersOf("core", "P2POperators").toSorted());
  });

  it("has every option of a transfer and of a comparison", () => {
    const wanted = ["RunOptions", "VerifyOptions"].flatMap((name) => membersOf("core", name));
    expect([...new Set(named(transfers, ["option", "选项"]))].toSorted()).toEqual([...new Set(wanted)].toSorted());
  });

  it("has every error code, and nothing else", () => {
    const codes = wordsOf("core", "P2PErrorCode");
    expect(named(`${folder}/guide/failure-modes.md`, ["code", "代码"]).toSorted()).toEqual(codes.toSorted());
  });

  it("has every field of a result and of a dead letter", () => {
    const fields = named(transfers, ["field", "字段"]);
    const wanted = ["TransferResult", "TransferCounts", "DeadLetter"].flatMap((name) => membersOf("core", name));
    expect(fields).toEqual(expect.arrayContaining(wanted));
  });
});

describe("the facts", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("have the guide's two messages as the code says them", async () => {
    // The advice names the package manager that runs the process; the guide has npm.
    vi.stubEnv("npm_config_user_agent", "npm/11.0.0");
    await using manager = new DefaultP2PConnectionManager({ appRoot: "/" });
    const missing = await manager.establish("redis://localhost", "memory:x").catch((error: Error) => error.message);
    const guide = readMarkdown("docs/guide/connections.md");
    expect(guide).toContain(`\n${missing}\n`);
    const invalid = await manager.transferThroughConnection("none", {}).catch((error: Error) => error.message);
    expect(invalid).toMatch(/^Connection is not in a valid state for transfer: /);
    expect(guide).toContain("\nConnection is not in a valid state for transfer: it is TRANSFERRING; ");
  });
});
