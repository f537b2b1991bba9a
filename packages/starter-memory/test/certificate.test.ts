import {
  DefaultP2PConnectionManager,
  isP2PError,
  P2PError,
  type P2PRecord,
  type VerifyCertificate,
  verify,
  verifyAgainst,
} from "@omni/p2p-core";
import { parseEndpoint } from "@omni/p2p-core/starter";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryStarter, memoryStore } from "../src/index.ts";

const source = memoryStore("cert-source");
const target = memoryStore("cert-target");

beforeEach(() => fill(1000));
afterEach(() => {
  source.clear();
  target.clear();
});

function fill(records: number): void {
  for (let at = 0; at < records; at++) {
    for (const store of [source, target])
      store.put({ id: `r${at}`, text: `text ${at}`, kind: at % 2 ? "odd" : "even" });
  }
}

async function certify(query: object = {}, more: object = {}): Promise<VerifyCertificate | undefined> {
  await using manager = new DefaultP2PConnectionManager();
  manager.registerService("memory", memoryStarter);
  const connection = await manager.establish("memory:cert-source", "memory:cert-target");
  const { certificate } = await connection.verify(query, { certificate: true, ...more });
  // As a file gives it back.
  return certificate && (JSON.parse(JSON.stringify(certificate)) as VerifyCertificate);
}

async function held(certificate: unknown, name = "cert-target", options: object = {}) {
  const endpoint = parseEndpoint(`memory:${name}`);
  const signal = new AbortController().signal;
  const service = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
  return verifyAgainst({ service, endpoint }, certificate, options).finally(() => service.close());
}

describe("a certificate", () => {
  it("says later of either side whether it holds what it held", async () => {
    const certificate = await certify();
    expect(certificate).toMatchObject({ version: 1, records: 1000, transformed: false, query: {} });
    expect(await held(certificate)).toMatchObject({ equal: true, side: "target", records: 1000, ids: [], notes: [] });
    expect(await held(certificate, "cert-source")).toMatchObject({ equal: true, side: "source" });
  });

  it("names what differs or is new, and counts what is gone", async () => {
    const certificate = await certify();
    for (let round = 1; round <= 15; round++) {
      target.clear();
      for (let at = 0; at < 1000; at++) target.put(source.get(`r${at}`)!);
      const [named, gone] = [new Set<string>(), new Set<string>()];
      for (let turn = 0; turn < 2 * round; turn++) {
        const at = (turn * 7919 * round) % 1200;
        const id = `r${at}`;
        if (at % 3 === 0 && at < 1000 && !named.has(id)) {
          if (target.delete(id)) gone.add(id);
        } else if (!gone.has(id) && named.add(id)) target.put({ id, text: "another", kind: "even" });
      }
      const result = await held(certificate);
      expect(result).toMatchObject({ equal: false, ids: [...named].sort(), suspects: named.size, gone: gone.size });
    }
  });

  it("is of the query that it was made for", async () => {
    const certificate = await certify({ where: { kind: "odd" } });
    target.put({ id: "more", text: "x", kind: "even" });
    expect(await held(certificate)).toMatchObject({ equal: true, records: 500 });
    expect(await held(certificate, "cert-target", { query: { where: { kind: "odd" } } })).toMatchObject({
      equal: true,
    });
    const another = held(certificate, "cert-target", { query: { where: { kind: "even" } } });
    await expect(another).rejects.toThrow(/made for the query .*odd.*leave the query out/);
  });

  it("is the same one with the fields of its objects in another order, and of the same query so", async () => {
    const certificate = await certify({ where: { kind: "odd", text: { gte: "text 1" } } });
    const turned: unknown = JSON.parse(JSON.stringify(certificate), (_, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).reverse())
        : value,
    );
    expect(Object.keys(turned as object)[0]).toBe("root");
    const query = { where: { text: { gte: "text 1" }, kind: "odd" } };
    for (const one of [certificate, turned]) {
      expect(await held(one, "cert-target", { query })).toMatchObject({ equal: true, records: 500 });
    }
  });

  it("tells once that there is nothing, checks its options, and is not ended by a listener that throws", async () => {
    const certificate = await certify();
    const endpoint = parseEndpoint("memory:cert-target");
    const signal = new AbortController().signal;
    const service = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
    const none = Object.assign(service, {
      readFromSource() {
        throw new P2PError("SOURCE_NOT_FOUND", "There is none");
      },
    });
    const { equal, gone, notes } = await verifyAgainst({ service: none, endpoint }, certificate);
    expect({ equal, gone, notes }).toEqual({
      ...{ equal: false, gone: 1000 },
      notes: [expect.stringMatching(/There is nothing at memory:cert-target/)],
    });
    for (const options of [{ side: "left" }, { batchSize: 0 }, { maxDifferences: -1 }, { onProgress: 5 }]) {
      const refused = held(certificate, "cert-target", options);
      await expect(refused).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    }
    const onProgress = () => {
      throw new Error("broken");
    };
    expect(await held(certificate, "cert-target", { onProgress })).toMatchObject({ equal: true });
  });

  it("of records as a transform made them needs it for the source alone", async () => {
    const transform = (record: Record<string, unknown>) => ({ ...record, id: record.id as string, seen: true });
    for (let at = 0; at < 1000; at++) target.put({ ...source.get(`r${at}`)!, seen: true });
    const certificate = await certify({}, { transform });
    expect(await held(certificate)).toMatchObject({ equal: true });
    expect(await held(certificate, "cert-source", { transform })).toMatchObject({ equal: true });
    await expect(held(certificate, "cert-source")).rejects.toThrow(/give the same transform/);
  });

  it("is not given while anything differs, is refused for a part, and tells of another store", async () => {
    const certificate = await certify();
    target.delete("r1");
    expect(await certify()).toBeUndefined();
    await expect(certify({ limit: 3 })).rejects.toMatchObject({ code: "INVALID_CONFIG" });
    const copy = memoryStore("cert-copy");
    for (let at = 0; at < 1000; at++) copy.put(source.get(`r${at}`)!);
    const { equal, notes } = await held(certificate, "cert-copy");
    expect({ equal, notes }).toEqual({ equal: true, notes: [expect.stringMatching(/memory:cert-copy is neither/)] });
    copy.clear();
    expect(await held(certificate, "cert-copy")).toMatchObject({ equal: false, records: 0, gone: 1000 });
  });

  it("holds each side in the form that it gives by itself, where a store has several of one value", async () => {
    for (let at = 0; at < 100; at++) target.put({ ...source.get(`r${at}`)!, text: `TEXT ${at}` });
    const signal = new AbortController().signal;
    const end = async (name: string, comparable?: (record: P2PRecord) => P2PRecord) => {
      const endpoint = parseEndpoint(`memory:${name}`);
      const service = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
      return { service: Object.assign(service, comparable && { comparable }), endpoint };
    };
    const lower = (record: P2PRecord) => ({ ...record, text: String(record.text).toLowerCase() });
    const [from, to] = [await end("cert-source"), await end("cert-target", lower)];
    const { equal, certificate } = await verify(from, to, {}, { certificate: true });
    expect(equal).toBe(true);
    const kept: unknown = JSON.parse(JSON.stringify(certificate));
    expect(await verifyAgainst(from, kept)).toMatchObject({ equal: true, side: "source" });
    expect(await verifyAgainst(to, kept)).toMatchObject({ equal: true, side: "target" });
    target.put({ id: "r5", text: "another" });
    expect(await verifyAgainst(to, kept)).toMatchObject({ equal: false, ids: ["r5"] });
  });

  it("waits for a store that cannot tell for the moment what it is", async () => {
    const signal = new AbortController().signal;
    const end = async (name: string) => {
      const endpoint = parseEndpoint(`memory:${name}`);
      const service = await memoryStarter.open(endpoint, { role: "source", signal, connectTimeoutMs: 1000 });
      let asked = 0;
      const identity: typeof service.identity = async (given) => {
        if (asked++ % 2 === 0) throw new P2PError("TIMEOUT", "No answer for the moment", { retryable: true });
        return service.identity(given);
      };
      return { endpoint, service: Object.assign(Object.create(service) as typeof service, { identity }) };
    };
    const [from, to] = [await end("cert-source"), await end("cert-target")];
    const { certificate } = await verify(from, to, {}, { certificate: true });
    expect(certificate).toMatchObject({ records: 1000 });
    expect(await verifyAgainst(to, certificate)).toMatchObject({ equal: true, side: "target" });
  });

  it("is refused when it is torn, altered, of another version or something else", async () => {
    const certificate = (await certify())!;
    const others: unknown[] = [
      ...[null, "text", 5, [], {}, { format: "omni-p2p-certificate" }, { ...certificate, version: 2 }],
      ...[
        { ...certificate, records: 999 },
        { ...certificate, query: { type: "x" } },
        { ...certificate, salt: "AAAA" },
      ],
      ...[
        { ...certificate, digests: certificate.digests.slice(1) },
        { ...certificate, digests: "many" },
      ],
      { ...certificate, target: { ...certificate.target, endpoint: "memory:other" } },
      { ...certificate, source: null },
    ];
    for (const other of others) {
      const error: unknown = await held(other).catch((thrown: unknown) => thrown);
      expect(isP2PError(error, "CERTIFICATE_INVALID"), JSON.stringify(other)?.slice(0, 100)).toBe(true);
    }
  });
});
