import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { JobState } from "../../src/connection/database/job-state.ts";
import { planDatabase } from "../../src/connection/database/plan.ts";
import {
  type CollectionResult,
  type DatabaseTransferOptions,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
} from "../../src/index.ts";
import {
  type CollectionCatalogue,
  type CollectionList,
  type ForeignKeyChecks,
  type ListedCollection,
  matches,
  parseQuery,
  type ReadOptions,
  type RecordBatch,
  type StoreIdentity,
} from "../../src/starter.ts";
import { temporaryFolder } from "../support/folder.ts";
import { PartedStore } from "../support/parted-store.ts";
import { managed } from "../support/scripted-starter.ts";
import {
  records,
  refused,
  type Script,
  ScriptedStore,
  untilAborted,
  type WriteCall,
  withFailures,
} from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const folder = temporaryFolder();
let jobs = 0;

const table = (name: string, more: Partial<ListedCollection> = {}): ListedCollection => ({
  name,
  kind: "table",
  ...more,
});

/** A target that is read as it was written. */
class Readable extends ScriptedStore {
  override async *readFromSource(query: P2PQuery): AsyncGenerator<RecordBatch> {
    const { conditions } = parseQuery(query);
    const found = [...this.content.values()].filter((record) => matches(conditions, record));
    if (found.length > 0) yield { records: found, cursor: 0 };
  }
}

/** A source that gives its highest first where that is asked for. */
class Growing extends ScriptedStore {
  readonly #all: readonly P2PRecord[];

  constructor(all: readonly P2PRecord[]) {
    super(all, { count: async () => 0 });
    this.#all = all;
  }

  override async *readFromSource(query: P2PQuery, options: ReadOptions): AsyncGenerator<RecordBatch> {
    const { orderBy, ...rest } = query;
    const isDown = (orderBy as { readonly direction?: string } | undefined)?.direction === "desc";
    yield* new ScriptedStore(isDown ? [...this.#all].reverse() : this.#all).readFromSource(rest, options);
  }
}

/** What is known for certain, and can be changed. */
function sure(incarnation: string, script: Script = {}) {
  const says: { identity: StoreIdentity } = { identity: { incarnation, certain: true } };
  return { says, script: { identity: async () => says.identity, ...script } satisfies Script };
}

/** A job over named stores, with a state folder of its own. */
function databaseOf(
  sources: Record<string, ScriptedStore>,
  targets: Record<string, ScriptedStore>,
  { inTarget = [], checks }: { readonly inTarget?: ListedCollection[]; readonly checks?: ForeignKeyChecks } = {},
) {
  const { manager, from, to } = managed({
    from: ({ database }) => sources[database!]!,
    to: ({ database }) => targets[database!]!,
  });
  const catalogue = (list: () => ListedCollection[]): CollectionCatalogue => ({
    list: async () => ({ collections: list() }),
    endpointOf: (endpoint, { name }) => ({ ...endpoint, database: name }),
    ...(checks && { foreignKeys: checks }),
  });
  Object.assign(from, { collections: catalogue(() => Object.keys(sources).map((name) => table(name))) });
  Object.assign(to, { collections: catalogue(() => inTarget) });
  const checkpoint = join(folder, String(++jobs));
  const start = (options: DatabaseTransferOptions = {}) =>
    manager.transferDatabase("from:", "to:", { checkpoint, deadLetters: false, transferId: "job", ...options });
  const run = (options: DatabaseTransferOptions = {}) => start(options).done;
  return { from, to, checkpoint, start, run };
}

const statusOf = ({ collections }: { readonly collections: readonly CollectionResult[] }) =>
  Object.fromEntries(collections.map(({ name, status }) => [name, status]));

describe("a job that is resumed", () => {
  it("reads nothing twice, and takes nothing for done whose target is another one by now", async () => {
    const [a, b] = [sure("a"), sure("b")];
    const targets = { a: new ScriptedStore([], a.script), b: new ScriptedStore([], b.script) };
    const sources = { a: new ScriptedStore(records(5)), b: new ScriptedStore(records(7)) };
    const { run } = databaseOf(sources, targets);
    expect(await run()).toMatchObject({ status: "completed", counts: { successCount: 12 } });
    expect(await run({ resume: true })).toMatchObject({
      status: "completed",
      collections: [
        { name: "a", status: "finished" },
        { name: "b", status: "finished" },
      ],
      counts: { successCount: 12 },
    });
    expect([sources.a.reads, sources.b.reads, targets.a.sent.length, targets.b.sent.length]).toEqual([1, 1, 1, 1]);
    a.says.identity = { certain: true };
    b.says.identity = { incarnation: "new", certain: true };
    const again = await run({ resume: true });
    expect(again).toMatchObject({ status: "failed" });
    expect(again.collections.map(({ error }) => error?.code)).toEqual(["CHECKPOINT_MISMATCH", "CHECKPOINT_MISMATCH"]);
    expect(again.collections[0]!.error!.message).toContain("is gone");
  });

  it("says of what was done in part, or was not the same, what it is still", async () => {
    const write = (call: WriteCall) => withFailures(call, ({ id }) => (id === "r00001" ? refused() : undefined));
    const targets = { part: new ScriptedStore([], { write }), other: new ScriptedStore(), whole: new Readable() };
    const source = () => new ScriptedStore(records(3));
    const { run } = databaseOf({ part: source(), other: source(), whole: source() }, targets);
    const expected = { part: "partial", other: "different", whole: "completed" };
    expect(statusOf(await run({ verify: true }))).toEqual(expected);
    for (const verify of [true, false]) {
      const again = await run({ verify, resume: true });
      expect(again.status).toBe("partial");
      expect(statusOf(again)).toEqual({ ...expected, whole: "finished" });
    }
    expect(targets.part.sent).toHaveLength(1);
  });

  it("goes on in parts that were stopped", async () => {
    const source = new PartedStore(400);
    const target = new ScriptedStore([], {
      write: ({ number, apply }) => {
        if (number === 12) throw new P2PError("WRITE_FAILED", "broken");
        return apply();
      },
    });
    const { run } = databaseOf({ a: source }, { a: target });
    const options = { config: { batchSize: 10, partitions: 4, maxRetries: 0 } };
    expect(await run(options)).toMatchObject({ status: "failed", collections: [{ error: { code: "WRITE_FAILED" } }] });
    const sent = target.sent.length;
    target.script = {};
    const again = await run({ ...options, resume: true });
    expect(again).toMatchObject({ status: "completed", counts: { successCount: 400, failureCount: 0 } });
    expect(target.content.size).toBe(400);
    expect(target.sent.length - sent).toBeLessThan(40);
    expect(await run({ ...options, resume: true })).toMatchObject({ collections: [{ status: "finished" }] });
  });

  it("remembers the watermark of a short table, with a resume and without", async () => {
    const sources: Record<string, ScriptedStore> = { a: new Growing(records(20)), b: new Growing(records(10)) };
    const targets = { a: new ScriptedStore(), b: new ScriptedStore() };
    const { run } = databaseOf(sources, targets);
    const options = { each: { since: { field: "at" } } };
    expect(await run(options)).toMatchObject({ status: "completed", counts: { successCount: 30 } });
    sources.a = new Growing(records(22));
    expect(await run(options)).toMatchObject({ status: "completed", counts: { successCount: 3 + 1 } });
    expect(statusOf(await run({ ...options, resume: true }))).toEqual({ a: "finished", b: "finished" });
    sources.b = new Growing(records(14));
    expect(await run(options)).toMatchObject({ status: "completed", counts: { successCount: 1 + 5 } });
  });
});

describe("a job", () => {
  it("compares by the schema as well as by the transform", async () => {
    const schema = {
      "~standard": {
        ...{ version: 1 as const, vendor: "test" },
        validate: (value: unknown) => ({ value: { ...(value as P2PRecord), seen: true } }),
      },
    };
    const { run } = databaseOf({ a: new ScriptedStore(records(4)) }, { a: new Readable() });
    const transform = (record: P2PRecord) => ({ ...record, sent: record.seen });
    expect(await run({ verify: true, each: { schema, transform } })).toMatchObject({
      status: "completed",
      collections: [{ verified: { equal: true, sourceCount: 4 } }],
    });
  });

  it("ends with the error of a state that cannot be kept, and with all that is under way", async () => {
    let began = () => {};
    const beginning = new Promise<void>((resolve) => {
      began = resolve;
    });
    const slow = new ScriptedStore([], {
      write: async ({ apply }) => {
        await beginning;
        await rm(join(checkpoint, "job.database.json"));
        await mkdir(join(checkpoint, "job.database.json"));
        await new Promise((resolve) => setTimeout(resolve, 1100));
        return apply();
      },
    });
    const stuck = new ScriptedStore(records(3), {
      read: ({ options: { signal } }) => {
        began();
        return untilAborted(signal);
      },
    });
    const { run, checkpoint, from, to } = databaseOf(
      { a: new ScriptedStore(records(3)), b: stuck },
      { a: slow, b: new ScriptedStore() },
    );
    await expect(run()).rejects.toThrow(/The state of the job "job" could not be kept/);
    expect([from.stillOpen, to.stillOpen]).toEqual([0, 0]);
  });

  it("removes what a killed run wrote and never renamed, and nothing else", async () => {
    const { run, checkpoint } = databaseOf({ a: new ScriptedStore(records(3)) }, { a: new ScriptedStore() });
    await mkdir(checkpoint);
    const left = "job.database.json.0a1b2c3d-0000-4000-8000-000000000000.tmp";
    const others = ["job.database.json.mine.tmp", left.replace("job.", "job2.")];
    for (const name of [left, ...others]) await writeFile(join(checkpoint, name), "{}");
    await run();
    const names = await readdir(checkpoint);
    expect(names).not.toContain(left);
    expect(names).toEqual(expect.arrayContaining(["job.database.json", ...others]));
    expect(names.filter((name) => name.endsWith(".tmp"))).toHaveLength(others.length);
  });

  it("does not replace the state of a later run when its lock was taken over", async () => {
    const folder = temporaryFolder();
    const state = new JobState(folder, "job", "about");
    await state.open(false);
    await state.note("a", { targetName: "a", status: "waiting" });
    const saved = await readFile(join(folder, "job.database.json"), "utf8");
    await state.close();
    const hung = new JobState(folder, "job", "about");
    await hung.open(false);
    const taken = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 60_000);
    await rm(join(folder, "job.database.json.lock"));
    await expect(hung.note("a", { targetName: "a", status: "failed" })).rejects.toMatchObject({
      code: "CHECKPOINT_LOCKED",
    });
    taken.mockRestore();
    expect(await readFile(join(folder, "job.database.json"), "utf8")).toBe(saved);
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    await hung.close();
  });

  const circle = [
    table("a", { foreignKeys: [{ fields: ["b"], references: { name: "b" } }] }),
    table("b", { foreignKeys: [{ fields: ["a"], references: { name: "a" } }] }),
  ];
  const inCircle = (violations: ForeignKeyChecks["violations"]) =>
    databaseOf(
      { a: new ScriptedStore(records(2)), b: new ScriptedStore(records(2)) },
      { a: new ScriptedStore(), b: new ScriptedStore() },
      { inTarget: circle, checks: { unchecked: (endpoint) => endpoint, violations } },
    );

  it("looks at foreign keys for as long as that takes", async () => {
    const { run } = inCircle(async (_, { signal }) => {
      await Promise.race([untilAborted(signal), new Promise((resolve) => setTimeout(resolve, 300))]);
      return 0;
    });
    expect(await run({ config: { connectionTimeout: 100 } })).toMatchObject({ status: "completed" });
  });

  it("says that foreign keys could not be looked at, and not that records are missing", async () => {
    const { run } = inCircle(async ({ database }) => {
      if (database === "a") throw new Error("the server went away");
      return 0;
    });
    const { status, collections, notes } = await run();
    expect(status).toBe("partial");
    const error = collections.find(({ name }) => name === "a")!.error!;
    expect(error).toMatchObject({ code: "READ_FAILED" });
    expect(error.message).toContain('The foreign keys of "a" could not be looked at: the server went away');
    expect(error.message).not.toContain("missing");
    expect(notes.join()).toContain("could not be looked at");
  });

  it("is interrupted where it is stopped while it looks at them", async () => {
    const looking = Promise.withResolvers<void>();
    const { start } = inCircle((_, { signal }) => {
      looking.resolve();
      return untilAborted(signal);
    });
    const job = start();
    await looking.promise;
    expect(await job.stop()).toMatchObject({ status: "interrupted" });
  });
});

describe("the plan of a job", () => {
  const endpointOf: CollectionCatalogue["endpointOf"] = (endpoint, { namespace, name }) => ({
    ...endpoint,
    metadata: { table: namespace === undefined ? name : `${namespace}.${name}` },
  });
  const planned = (
    from: ListedCollection[],
    to: CollectionList,
    { rename = [], checks }: { readonly rename?: string[]; readonly checks?: ForeignKeyChecks } = {},
  ) => {
    const end = (type: string, list: CollectionList) => ({
      endpoint: parseEndpoint(`${type}:db`),
      starter: {
        ...{ storageType: type, contractVersion: 2, options: {} },
        open: async () => new ScriptedStore(),
        collections: { list: async () => list, endpointOf, ...(checks && { foreignKeys: checks }) },
      },
    });
    return planDatabase(end("from", { collections: from }), end("to", to), { rename }, { timeoutMs: 1000 });
  };

  it("is refused where two names lead to one table of the target, be it there or not", async () => {
    const docs = table("docs", { namespace: "public", visible: true });
    const audit = table("docs", { namespace: "audit", visible: false });
    const rename = ["audit.(.*)=public.$1"];
    for (const to of [{ collections: [docs] }, { collections: [], namespace: "public" }]) {
      await expect(planned([docs, audit], to, { rename })).rejects.toThrow(
        /"docs" and "audit.docs" as "public.docs" would be written into one and the same collection of to:db.*--rename/,
      );
      expect((await planned([docs, audit], to)).collections).toHaveLength(2);
    }
  });

  it("leaves the triggers of a table that refers to itself alone, and says which do not fire", async () => {
    const to = (name: string, ...others: string[]) =>
      table(name, {
        triggers: true,
        foreignKeys: others.map((other) => ({ fields: ["x"], references: { name: other } })),
      });
    const source = [table("boss"), table("desk"), table("node")];
    const target = { collections: [to("boss", "desk"), to("desk", "boss"), to("node", "node")] };
    const checks: ForeignKeyChecks = { unchecked: (endpoint) => endpoint, violations: async () => 0 };
    const kept = await planned(source, target, { checks: { ...checks, alsoOff: "triggers and rules" } });
    const unchecked = ({ collections }: typeof kept) =>
      collections.filter((one) => one.unchecked).map(({ name }) => name);
    expect(unchecked(kept).toSorted()).toEqual(["boss", "desk"]);
    expect(kept.notes.join("\n")).toMatch(
      /The triggers and rules of (boss, desk|desk, boss) do not fire meanwhile\nnode refers to itself/,
    );
    const all = await planned(source, target, { checks });
    expect(unchecked(all)).toHaveLength(3);
    expect(all.notes.join()).not.toContain("fire");
  });
});
