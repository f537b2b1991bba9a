/** Sources that cannot be believed any more in the middle of a mirror: nothing is deleted on their word. */
import { FaultProxy, NO_FAULTS } from "@omni/p2p-chaos/fault-proxy";
import { loseRecords } from "@omni/p2p-chaos/lose-records";
import { check, type Report } from "@omni/p2p-chaos/report";
import { withCalls } from "@omni/p2p-chaos/wrapped-stores";
import { isP2PError } from "@omni/p2p-core";
import type { P2PDataTransferService, RecordBatch } from "@omni/p2p-core/starter";
import { type Places, STORES, type Store } from "@omni/p2p-matrix/stores";
import { recordsOf } from "./drift.ts";
import { openStore, wrappingManager } from "./stores.ts";

/** What happens to a source. */
export const HARMS = ["emptied", "dropped", "replaced", "unreachable", "answering in part"] as const;
export type Harm = (typeof HARMS)[number];

/** Records of the source, those that only the target has, and how many are looked at together. */
const RECORDS = 300;
const EXTRAS = 40;
const BATCH = 10;

/** With what a mirror may end. */
const CODES: readonly string[] = [
  ...["STORE_CHANGED", "SOURCE_NOT_FOUND", "EMPTY_SOURCE", "TOO_MANY_DELETES", "STARTER_INCOMPATIBLE", "READ_FAILED"],
  ...["CONNECTION_LOST", "CONNECTION_FAILED", "TIMEOUT"],
];

/** Harms the source at a random call of a mirror, so many times, with one store after the other as the source. */
export async function proveHarmed(
  report: Report,
  places: Places,
  harm: Harm,
  trials: number,
  random: () => number,
  stores: readonly Store[] = STORES,
): Promise<void> {
  const suited = stores.filter((store) => isSuited(store, harm));
  /** Calls of an undisturbed mirror. */
  const usual = new Map<Store, number>();
  for (let trial = 0; trial < trials; trial++) {
    const store = suited[trial % suited.length]!;
    await report.run(`source ${harm}: ${store}`, async () => {
      const calls =
        usual.get(store) ?? (await new Harmed(places, store, harm, random).run(Number.POSITIVE_INFINITY)).calls;
      usual.set(store, calls);
      const at = 1 + Math.floor(random() * calls);
      const { code, deleted } = await new Harmed(places, store, harm, random).run(at);
      return `at call ${at} of ${calls}: ${code}, ${deleted} records had been deleted rightly`;
    });
  }
}

function isSuited(store: Store, harm: Harm): boolean {
  if (harm === "unreachable") return store !== "memory" && store !== "sqlite";
  // Redis has nothing to drop but its keys.
  return store !== "redis" || harm !== "dropped";
}

/** One mirror whose source is harmed at one of its calls. */
class Harmed {
  readonly #places: Places;
  readonly #store: Store;
  readonly #harm: Harm;
  readonly #random: () => number;
  readonly #source: string;
  readonly #signal = new AbortController().signal;
  #proxy: FaultProxy | undefined;
  #at = 0;
  #calls = 0;
  #isHarmed = false;
  /** It has told of records since. */
  #hasSpokenSince = false;
  #deleted = 0;
  readonly #wrongful: string[] = [];

  constructor(places: Places, store: Store, harm: Harm, random: () => number) {
    this.#places = places;
    this.#store = store;
    this.#harm = harm;
    this.#random = random;
    this.#source = places.fresh(store);
  }

  async run(at: number): Promise<{ code: string; calls: number; deleted: number }> {
    this.#at = at;
    const target = this.#places.fresh("sqlite");
    const extras = Array.from({ length: EXTRAS }, (_, place) => ({ id: `extra-${place}` }));
    await this.#put(this.#source, recordsOf(RECORDS));
    await this.#put(target, [...recordsOf(RECORDS), ...extras]);
    const asked = this.#harm === "unreachable" ? await this.#throughProxy() : this.#source;
    const manager = await wrappingManager([this.#store, "sqlite"], (service, role) =>
      role === "source" ? this.#spoilt(service) : this.#watched(service),
    );
    let code = "completed";
    try {
      const config = { auto_reconnect: false, connection_timeout: 2000, max_retries: 0 };
      const { connectionId } = await manager.establish(asked, target, config);
      await manager.mirrorThroughConnection(
        connectionId,
        {},
        { deletes: "remove", deadLetters: false, batchSize: BATCH },
      );
    } catch (error) {
      if (!isP2PError(error) || !CODES.includes(error.code)) throw error;
      code = error.code;
    } finally {
      await manager.close();
      await this.#proxy?.close();
    }
    check(
      this.#wrongful.length === 0,
      `${this.#wrongful.length} records were deleted on its word: ${this.#wrongful[0]}`,
    );
    await this.#assertWhole(target);
    return { code, calls: this.#calls, deleted: this.#deleted };
  }

  async #throughProxy(): Promise<string> {
    const url = new URL(this.#source);
    this.#proxy = await FaultProxy.open(Number(url.port), this.#random);
    Object.assign(this.#proxy.faults, NO_FAULTS, { latencyMs: 0 });
    url.port = String(this.#proxy.port);
    return url.href;
  }

  async #put(place: string, records: ReturnType<typeof recordsOf>): Promise<void> {
    const store = await openStore(place);
    try {
      const { written } = await store.writeToTarget(records, { mode: "upsert", signal: this.#signal });
      check(written === records.length, `${place} could not be filled`);
    } finally {
      await store.close();
    }
  }

  /** Counts a call of the source, before which the harm may come. */
  async #call(tells: boolean): Promise<void> {
    this.#calls++;
    if (!this.#isHarmed && this.#calls >= this.#at) {
      this.#isHarmed = true;
      await this.#doHarm();
    }
    if (this.#isHarmed && tells) this.#hasSpokenSince = true;
  }

  async #doHarm(): Promise<void> {
    if (this.#harm === "emptied" || this.#harm === "dropped") await loseRecords(this.#store, this.#source, this.#harm);
    else if (this.#harm === "replaced") {
      await loseRecords(this.#store, this.#source, this.#store === "redis" ? "emptied" : "dropped");
      // A part of the same ids, and others.
      const others = recordsOf(RECORDS).map((record) => ({ ...record, title: "of another" }));
      await this.#put(this.#source, [
        ...others.slice(0, 30),
        ...others.slice(30, 60).map(({ id, ...rest }) => ({ id: `other-${String(id)}`, ...rest })),
      ]);
    } else if (this.#proxy) {
      this.#proxy.faults.refuse = 1;
      this.#proxy.cut();
    }
  }

  #spoilt(service: P2PDataTransferService): P2PDataTransferService {
    const harmed = this;
    const lookUpsToo = this.#random() < 0.5;
    const inPart = () => this.#isHarmed && this.#harm === "answering in part";
    return withCalls(service, {
      async identity(signal) {
        await harmed.#call(false);
        return service.identity(signal);
      },
      async *readFromSource(query, options): AsyncGenerator<RecordBatch> {
        await harmed.#call(true);
        for await (const batch of service.readFromSource(query, options)) {
          await harmed.#call(true);
          if (inPart()) return;
          yield batch;
        }
      },
      async lookUp(refs, query, options) {
        await harmed.#call(true);
        const answers = await service.lookUp!(refs, query, options);
        return inPart() && lookUpsToo ? answers.slice(1) : answers;
      },
    });
  }

  #watched(service: P2PDataTransferService): P2PDataTransferService {
    return withCalls(service, {
      deleteFromTarget: async (refs, options) => {
        for (const { id } of refs) {
          const isSteady = !String(id).startsWith("extra-");
          // A source that leaves records out where it is read tells the truth where it is asked for them, or nothing.
          const isOnItsWord = this.#hasSpokenSince && this.#harm !== "answering in part";
          if (isOnItsWord || isSteady) this.#wrongful.push(String(id));
        }
        const result = await service.deleteFromTarget!(refs, options);
        this.#deleted += result.deleted;
        return result;
      },
    });
  }

  async #assertWhole(target: string): Promise<void> {
    const store = await openStore(target);
    try {
      const refs = recordsOf(RECORDS).map(({ id }) => ({ id }));
      const outcomes = await store.lookUp!(refs, {}, { signal: this.#signal });
      const gone = outcomes.filter(({ state }) => state !== "wanted").length;
      check(gone === 0, `${gone} records are gone from the target that the source had`);
    } finally {
      await store.close();
    }
  }
}
