import { randomUUID } from "node:crypto";
import { type P2PDataTransferService, P2PError } from "@omni/p2p-core/starter";
import { type AdapterUnderTest, referenceAdapter } from "../../src/index.ts";
import { careless, deaf, networkAdapter, patient, talkative } from "./network.ts";
import { type BrokenAdapter, broken, brokenOpen, lossy, type Replaced, sabotaged } from "./sabotage.ts";

const never = new AbortController().signal;

/** Faults of everything around reading and writing, by what is wrong. */
export const brokenManners: Readonly<Record<string, BrokenAdapter>> = {
  "ignores an abort": broken(
    (service) => ({
      readFromSource: (query, options) => service.readFromSource(query, { ...options, signal: never }),
      writeToTarget: (records, options) => service.writeToTarget(records, { ...options, signal: never }),
      count: (query) => service.count(query, never),
      partitions: (query, parts) => service.partitions(query, parts, never),
      ping: () => service.ping(never),
    }),
    "an aborted signal stops reading",
    "an aborted signal stops count",
    "an aborted signal stops writing",
    "aborting between two batches",
  ),
  "hangs when it is aborted": broken(
    (service) => ({
      async *readFromSource(query, options) {
        for await (const batch of service.readFromSource(query, { ...options, signal: never })) {
          if (options.signal.aborted) await new Promise(() => {});
          yield batch;
        }
      },
    }),
    "aborting between two batches",
  ),
  "aborts with an error of its own": broken(
    (service) => ({
      async ping(signal) {
        if (signal.aborted) throw new Error("cancelled");
        await service.ping(signal);
      },
    }),
    "an aborted signal stops count",
  ),
  "ignores an abort while it opens": brokenOpen(
    (open) => (endpoint, context) => open(endpoint, { ...context, signal: never }),
    "an aborted signal stops opening",
  ),
  "takes unknown options": brokenOpen(
    (open) => (endpoint, context) => {
      const { metadata: _, ...rest } = endpoint;
      return open(rest, context);
    },
    "an unknown option is refused",
  ),
  "tells the password": brokenOpen(
    (open) => async (endpoint, context) => {
      const password = endpoint.metadata?.password;
      if (password !== undefined) throw new P2PError("AUTHENTICATION_FAILED", `login with ${password} failed`);
      return open(endpoint, context);
    },
    "law 8, secrecy: a wrong password",
  ),
  "gives every place one identity": broken(
    () => ({ identity: async () => ({ thing: "the one", certain: true, incarnation: "the first" }) }),
    "an identity stays through writes and opening anew, and another place has another",
  ),
  "keeps its incarnation when it is made anew": broken(
    (service) => ({
      identity: async (signal) => ({ ...(await service.identity!(signal)), incarnation: "for ever" }),
    }),
    "a thing that is removed and made anew has another incarnation",
    "law 4, resume: a source that was made anew",
    "law 4, resume: a target that was made anew",
    "a transfer that was completed is not so any more",
    "a target that is removed during a transfer",
  ),
  "is another thing with each question": broken(
    (service) => ({
      identity: async (signal) => ({ ...(await service.identity!(signal)), incarnation: randomUUID() }),
    }),
    "an identity stays through writes and opening anew",
  ),
  "leaves a timer running": broken((service) => {
    const timer = setInterval(() => {}, 1000);
    setTimeout(() => clearInterval(timer), 8000).unref();
    return { close: service.close };
  }, "nothing is left open"),
  "cannot be closed twice": broken((service) => {
    let closed = false;
    return {
      async close() {
        if (closed) throw new Error("closed already");
        closed = true;
        await service.close();
      },
    };
  }, "close may be called twice"),
  "does not tell its capabilities": broken(
    (service) => ({ capabilities: { ...service.capabilities, valueTypes: { null: "native" } as never } }),
    "capabilities are complete",
  ),
  "says that it counts, and does not": broken(
    () => ({ count: async () => undefined }),
    "count is the number of records",
  ),
  "promises what it does not keep": {
    adapter: describing(
      lossy((value) => (typeof value === "bigint" ? String(value) : value)),
      async () => {},
    ),
    caughtBy: ["describeMapping keeps its word"],
  },
  "makes the place that it only describes": {
    adapter: describing(
      () => ({}),
      async (open) => (await open("target")).close(),
    ),
    caughtBy: ["describeMapping tells of every field"],
  },
  "inspects without looking at the options": {
    adapter: describing(
      () => ({}),
      async () => {},
    ),
    caughtBy: ["inspect refuses what open refuses"],
  },
  "waits for a silent server for ever": {
    adapter: networkAdapter(patient),
    caughtBy: ["a server that accepts and never answers"],
  },
  "waits for a silent server after an abort": {
    adapter: networkAdapter(deaf),
    caughtBy: ["an abort ends the wait"],
  },
  "leaves its socket open when opening fails": {
    adapter: networkAdapter(careless),
    caughtBy: ["a server that accepts and never answers", "an abort ends the wait"],
  },
  "passes on errors as they come": {
    adapter: networkAdapter(talkative),
    caughtBy: ["a port where nobody listens", "law 8, secrecy: a failed connection"],
  },
};

/** A broken adapter that inspects and describes, and calls everything lossless. */
function describing(
  spoil: (service: P2PDataTransferService) => Replaced,
  before: (open: (role: "source" | "target") => Promise<P2PDataTransferService>) => Promise<void>,
): AdapterUnderTest {
  const { starter, createEndpoint } = sabotaged(referenceAdapter(), spoil);
  return {
    createEndpoint,
    starter: {
      ...starter,
      inspect: async () => ({ product: "Shelves", collections: [{ name: "one of them" }] }),
      async describeMapping(endpoint, sample, context) {
        await before((role) => starter.open(endpoint, { ...context, role }));
        const fields = new Set(sample.flatMap((record) => Object.keys(record)));
        return Array.from(fields, (field) => ({ field, types: [], storedAs: "itself", lossless: true }));
      },
    },
  };
}
