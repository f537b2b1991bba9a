import { DefaultP2PConnectionManager, verify } from "@omni/p2p-core";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { afterEach, describe, expect, it } from "vitest";
import { memoryStarter, memoryStore } from "../src/index.ts";

const RECORDS = 2000;
/** How long a change takes to the target, in ms, and for how long a difference must stay. */
const LAG = 250;
const SETTLE = 600;

const source = memoryStore("live-source");
const target = memoryStore("live-target");
const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  source.clear();
  target.clear();
});

/** Brings a change of the source to the target, some time behind. */
function change(id: string, text: string | undefined): void {
  const put = (store: typeof source) => {
    if (text === undefined) store.delete(id);
    else store.put({ id, text });
  };
  put(source);
  const timer = setTimeout(() => put(target), LAG * (0.2 + 0.8 * Math.random()));
  stops.push(() => clearTimeout(timer));
}

function fill(): void {
  for (let at = 0; at < RECORDS; at++) for (const store of [source, target]) store.put({ id: `r${at}`, text: "same" });
}

/** About 500 changes a second, some of which change back at once. */
function changing(ids: (turn: number) => string): void {
  let turn = 0;
  const timer = setInterval(() => {
    for (let at = 0; at < 5; at++) {
      const id = ids(turn++);
      change(id, turn % 7 === 0 ? undefined : turn % 3 === 0 ? "same" : `changed ${turn}`);
    }
  }, 10);
  stops.push(() => clearInterval(timer));
}

function thrower(_: number, __: number | undefined, again?: number): void {
  if (again !== undefined) throw new Error("thrown while looking again");
}

async function verified(more: object = {}) {
  await using manager = new DefaultP2PConnectionManager();
  manager.registerService("memory", memoryStarter);
  const connection = await manager.establish("memory:live-source", "memory:live-target");
  return connection.verify({}, { live: true, settle: SETTLE, batchSize: 50, ...more });
}

describe("a live comparison", () => {
  it("tells no false difference while both sides change", async () => {
    fill();
    // Each of them is changed about once in six seconds.
    changing((turn) => `r${100 + ((turn * 7919) % (RECORDS - 100))}`);
    // One that is on its way for certain: it arrives once it has been looked at again.
    source.put({ id: "r1", text: "late" });
    const again: number[] = [];
    const { equal, missing, different, extra, unsettled, differences } = await verified({
      onProgress: (_: number, __: number, left?: number) => {
        if (left === undefined) return;
        again.push(left);
        target.put({ id: "r1", text: "late" });
      },
    });
    expect({ missing, different, extra, unsettled, differences }).toEqual({
      ...{ missing: 0, different: 0, extra: 0, unsettled: 0, differences: [] },
    });
    expect(equal).toBe(true);
    expect(again[0]).toBeGreaterThan(0);
  });

  it("finds what stays different among what changes, with the fields, and tells apart what never rests", async () => {
    fill();
    changing((turn) => `r${100 + ((turn * 7919) % (RECORDS - 100))}`);
    let turn = 0;
    const timer = setInterval(() => source.put({ id: "r99", text: `never the same ${turn++}` }), 10);
    stops.push(() => clearInterval(timer));
    target.delete("r1");
    target.put({ id: "r2", text: "planted" });
    target.put({ id: "planted", text: "extra" });
    const result = await verified();
    expect(result).toMatchObject({ equal: false, missing: 1, different: 1, extra: 1, unsettled: 1 });
    expect(result.differences).toEqual([
      { kind: "extra", id: "planted" },
      { kind: "missing", id: "r1" },
      { kind: "different", id: "r2", fields: [{ field: "text", source: '"same"', target: '"planted"' }] },
      { kind: "unsettled", id: "r99" },
    ]);
  });

  it("takes no longer than a comparison at rest where nothing differs, and obeys its signal where something does", async () => {
    fill();
    const { equal, durationMs } = await verified({ settle: 60_000 });
    expect(equal).toBe(true);
    expect(durationMs).toBeLessThan(30_000);
    target.delete("r1");
    const stopping = verified({ settle: 60_000, signal: AbortSignal.timeout(300) });
    await expect(stopping).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("refuses what cannot be asked by ids, and a time without live", async () => {
    await expect(verified({ settle: 0 })).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    await expect(verified({ live: undefined })).rejects.toThrow(/"settle" must be .* with live: true/);
    await using manager = new DefaultP2PConnectionManager();
    manager.registerService("memory", memoryStarter);
    const connection = await manager.establish("memory:live-source", "memory:live-target");
    await expect(connection.verify({ limit: 3 }, { live: true })).rejects.toMatchObject({ code: "UNSUPPORTED_QUERY" });
  });

  it("refuses a transform that changes ids, and a query of the target that cannot be asked by ids", async () => {
    source.put({ id: "r1", text: "same" });
    const renaming = verified({ transform: (record: { id: string }) => ({ ...record, id: `x${record.id}` }) });
    await expect(renaming).rejects.toMatchObject({
      code: "INVALID_CONFIG",
      message: expect.stringMatching(/"r1".* a live comparison finds records by their ids.*compare at rest/),
    });
    const upper = (record: { id: string }) => ({ ...record, text: "SAME" });
    target.put({ id: "r1", text: "SAME" });
    expect(await verified({ transform: upper })).toMatchObject({ equal: true });
    for (const targetQuery of [{ limit: 3 }, { native: { memory: {} } }]) {
      await expect(verified({ targetQuery })).rejects.toMatchObject({ code: "UNSUPPORTED_QUERY" });
    }
  });

  it("holds to the target's query what it looks at again", async () => {
    fill();
    target.put({ id: "more", text: "x" });
    target.put({ id: "r1", text: "other" });
    const targetQuery = { where: { text: "same" } };
    expect(await verified({ targetQuery })).toMatchObject({ equal: false, missing: 1, extra: 0, different: 0 });
  });

  it("reads each side twice at most, whatever changes meanwhile", async () => {
    fill();
    source.put({ id: "r1", text: "changing" });
    const signal = new AbortController().signal;
    let reads = 0;
    let turn = 0;
    const end = async (name: string) => {
      const endpoint = parseEndpoint(`memory:${name}`);
      const service = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
      const readFromSource: typeof service.readFromSource = (...given) => {
        reads++;
        if (name === "live-source") source.put({ id: "r1", text: `changing ${turn++}` });
        return Reflect.apply(service.readFromSource, service, given);
      };
      return { endpoint, service: Object.assign(Object.create(service) as typeof service, { readFromSource }) };
    };
    const [from, to] = [await end("live-source"), await end("live-target")];
    const result = await verify(from, to, {}, { live: true, settle: SETTLE });
    expect(result).toMatchObject({
      ...{ equal: false, different: 1 },
      differences: [{ kind: "different", id: "r1", fields: [{ field: "text", target: '"same"' }] }],
    });
    expect(reads).toBe(4);
  });

  it("is not ended by a listener that throws or rejects", async () => {
    fill();
    target.delete("r1");
    const warnings: Error[] = [];
    const hear = (warning: Error) => warnings.push(warning);
    process.on("warning", hear);
    stops.push(() => process.off("warning", hear));
    for (const onProgress of [() => Promise.reject(new Error("broken")), thrower]) {
      expect(await verified({ onProgress })).toMatchObject({ equal: false, missing: 1 });
    }
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(/onProgress failed: broken/),
      expect.stringMatching(/onProgress failed: thrown while looking again/),
    ]);
  });

  it("leaves what only the target has alone where it is told so", async () => {
    fill();
    target.put({ id: "more", text: "x" });
    expect(await verified({ extras: "allow" })).toMatchObject({ equal: true, extra: 1, unsettled: 0, differences: [] });
  });
});
