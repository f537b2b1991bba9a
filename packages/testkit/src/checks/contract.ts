import { CONTRACT_VERSION, isP2PError, type OptionSpec, type P2PStarter, VALUE_TYPES } from "@omni/p2p-core/starter";
import { expect } from "vitest";
import { calm, readBatches, rejection } from "../bench.ts";
import { sampleRecords } from "../sample-records.ts";
import { check, group, type Suite } from "../suite.ts";

const FLAGS = [
  ...(["resumable", "countable", "partitionable", "atomicBatches", "shareable"] as const),
  ...(["lookUp", "deletes", "changes"] as const),
];
const PLANTED = "planted-s3cret";

/** What a starter says of itself, and how its endpoints open and close. */
export function contractChecks(suite: Suite): void {
  const { starter } = suite.adapter;

  group("contract", () => {
    check(suite, "the starter is built for this version of the contract", async () => {
      expect(starter.contractVersion).toBe(CONTRACT_VERSION);
      expect(starter.storageType).toMatch(/^[a-z][a-z0-9.-]*$/);
    });

    check(suite, "its options are well-formed", async () => {
      for (const [name, spec] of Object.entries(starter.options)) checkOption(name, spec);
    });

    check(suite, "places belong to the starter", async (bench) => {
      expect((await bench.place()).storageType).toBe(starter.storageType);
    });

    check(suite, "capabilities are complete, and true of what can be called", async (bench) => {
      const service = await bench.open(await bench.place(), "target");
      const { capabilities } = service;
      for (const name of FLAGS) {
        expect(capabilities[name], name).toBeTypeOf("boolean");
      }
      expect(Number.isInteger(capabilities.writeConcurrency) && capabilities.writeConcurrency >= 1).toBe(true);
      expect(Object.keys(capabilities.valueTypes).sort()).toEqual([...VALUE_TYPES].sort());
      for (const type of VALUE_TYPES) {
        expect(["native", "tagged", "unsupported"], type).toContain(capabilities.valueTypes[type]);
      }
      expect(service.identity, "identity can be asked").toBeTypeOf("function");
      expect(typeof service.lookUp === "function", "lookUp can be called").toBe(capabilities.lookUp);
      expect(typeof service.deleteFromTarget === "function", "deleteFromTarget can be called").toBe(
        capabilities.deletes,
      );
    });
  });

  group("opening and closing", () => {
    openingChecks(suite, starter);
  });
}

function openingChecks(suite: Suite, starter: P2PStarter): void {
  check(suite, "an unknown option is refused by its name", async (bench) => {
    const place = await bench.place();
    for (const role of ["source", "target"] as const) {
      const metadata = { ...place.metadata, bogusOption: "1" };
      const error = await rejection(bench.open({ ...place, metadata }, role), "opening with an unknown option");
      expectCode(error, "INVALID_ENDPOINT");
      expect((error as Error).message).toContain("bogusOption");
    }
  });

  check(suite, "a wrong value of an option is refused by its name", async (bench) => {
    const place = await bench.place();
    for (const [name, spec] of Object.entries(starter.options)) {
      const wrong = wrongValue(spec);
      if (wrong === undefined) continue;
      const metadata = { ...place.metadata, [name]: wrong };
      const error = await rejection(bench.open({ ...place, metadata }, "target"), `opening with a wrong ${name}`);
      expectCode(error, "INVALID_ENDPOINT");
      expect((error as Error).message).toContain(name);
    }
  });

  check(suite, "the user's own notes on an endpoint are let pass", async (bench) => {
    const place = await bench.place();
    const metadata = { ...place.metadata, description: "for a test", "x-owner": "someone" };
    await bench.open({ ...place, metadata }, "target");
  });

  check(
    suite,
    "a missing source is an error, never an empty result",
    async (bench) => {
      const place = await bench.place();
      const read = async (): Promise<void> => {
        const source = await bench.open(place, "source");
        await readBatches(source);
      };
      // Twice, since the first look must not make what it looks for.
      for (let time = 0; time < 2; time++) {
        expectCode(await rejection(read(), "reading a source that does not exist"), "SOURCE_NOT_FOUND");
      }
    },
    ["missing sources"],
  );

  check(suite, "law 8, secrecy: a wrong password is in no message", async (bench) => {
    const place = await bench.place();
    const metadata = { ...place.metadata, username: "planted-user", password: PLANTED };
    try {
      await bench.open({ ...place, metadata }, "source");
    } catch (error) {
      expect(`${(error as Error).message}\n${(error as Error).stack}`).not.toContain(PLANTED);
    }
  });

  check(suite, "ping answers", async (bench) => {
    const place = await bench.place();
    await bench.write(place, sampleRecords(1));
    for (const role of ["source", "target"] as const) await (await bench.open(place, role)).ping(calm());
  });

  check(suite, "close may be called twice, and before anything else", async (bench) => {
    const place = await bench.place();
    await bench.write(place, sampleRecords(1));
    for (const role of ["source", "target"] as const) {
      const service = await bench.open(place, role);
      await service.close();
      await service.close();
    }
  });

  check(suite, "nothing is left open after close", async (bench) => {
    const place = await bench.place();
    const before = await quietHandles();
    await bench.write(place, sampleRecords(10));
    // Several times, so that one thing left open each time is not mistaken for one of vitest's own.
    for (let time = 0; time < 4; time++) {
      const source = await bench.open(place, "source");
      await source.ping(calm());
      await readBatches(source, { where: { position: { gte: 1 } } }, { batchSize: 3 });
      for await (const _ of source.readFromSource({}, { batchSize: 2, signal: calm() })) break;
      await source.close();
    }
    await assertLetGo(before);
  });

  check(suite, "many services on one place do not disturb each other", async (bench) => {
    const place = await bench.place();
    const records = sampleRecords(7);
    await bench.write(place, records);
    const [first, second] = [await bench.open(place, "source"), await bench.open(place, "source")];
    await first.close();
    expect((await readBatches(second)).flatMap((batch) => batch.records)).toHaveLength(records.length);
  });
}

/** Asserts that an error is a P2PError with this code, and shows what came when it is not. */
export function expectCode(error: unknown, code: Parameters<typeof isP2PError>[1]): void {
  if (isP2PError(error, code)) return;
  const got = isP2PError(error) ? `${error.code}: ${error.message}` : String(error);
  throw new Error(`expected a P2PError with the code ${code}, but got ${got}`, { cause: error });
}

function checkOption(name: string, spec: OptionSpec): void {
  expect(["string", "number", "boolean", "object"], `type of ${name}`).toContain(spec.type);
  expect(spec.description, `description of ${name}`).toMatch(/\S/);
  if (spec.default !== undefined) expect(typeof spec.default, `default of ${name}`).toBe(spec.type);
  if (spec.values !== undefined) {
    expect(spec.type, `${name} has values`).toBe("string");
    if (spec.default !== undefined) expect(spec.values, `default of ${name}`).toContain(spec.default);
  }
  const { min = -Infinity, max = Infinity, default: fallback } = spec;
  expect(min, `bounds of ${name}`).toBeLessThanOrEqual(max);
  if (typeof fallback === "number") expect(fallback >= min && fallback <= max, `default of ${name}`).toBe(true);
}

function wrongValue(spec: OptionSpec): unknown {
  if (spec.type === "number") return "not a number";
  if (spec.type === "boolean") return "perhaps";
  if (spec.type === "object") return "not an object";
  return spec.values === undefined ? 5 : "no-such-word";
}

/** What keeps the process running, by kind. */
function openHandles(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const kind of process.getActiveResourcesInfo()) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return counts;
}

/** The least that is seen open in a while: what vitest needs now and then comes and goes. */
async function quietHandles(): Promise<Map<string, number>> {
  const least = openHandles();
  for (let look = 0; look < 5; look++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = openHandles();
    for (const [kind, count] of least) least.set(kind, Math.min(count, now.get(kind) ?? 0));
  }
  return least;
}

/** Waits a little for sockets, files and timers to go, and throws when there are more of a kind than before. */
async function assertLetGo(before: Map<string, number>): Promise<void> {
  const deadline = performance.now() + 2000;
  for (;;) {
    const more = [...openHandles()].filter(([kind, count]) => count > (before.get(kind) ?? 0));
    // Requests to the file system are of the moment: vitest makes some of its own.
    const left = more.filter(([kind]) => !kind.startsWith("FSReq"));
    if (left.length === 0) return;
    if (performance.now() > deadline) {
      throw new Error(`after close() this is still open: ${left.map(([kind]) => kind).join(", ")}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
