import {
  type DeleteRef,
  type DeleteResult,
  type EndpointInfo,
  type IdRef,
  idKey,
  type LookUpOutcome,
  type P2PDataTransferService,
  type P2PId,
  type P2PQuery,
  type P2PRecord,
  parseEndpoint,
  type ReadOptions,
  type RecordBatch,
  unlessLate,
  type WriteMode,
  type WriteResult,
} from "@omni/p2p-core/starter";
import { overWire } from "./over-wire.ts";
import type { AdapterUnderTest, ConformancePlace } from "./reference.ts";

/** The time that an adapter under test has to connect, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
/** Records in one call of `writeToTarget` when a place is filled. */
const FILL_BATCH = 500;

/** How a read is done where a check does not care. */
export type ReadSettings = Partial<ReadOptions>;

/** Tools for one check: everything opened or made with them is closed and removed by {@link Bench.release}. */
export class Bench {
  readonly adapter: AdapterUnderTest;
  readonly #cleanups: (() => Promise<void>)[] = [];
  readonly #removals = new Map<EndpointInfo, () => Promise<void>>();
  readonly #breakers = new Map<EndpointInfo, (id: P2PId) => Promise<void>>();

  readonly #changers = new Map<EndpointInfo, (id: P2PId) => Promise<void>>();
  readonly #deleters = new Map<EndpointInfo, (ids: readonly P2PId[]) => Promise<void>>();
  readonly #databases = new Map<EndpointInfo, { readonly endpoint: EndpointInfo; readonly name: string }>();

  constructor(adapter: AdapterUnderTest) {
    this.adapter = adapter;
  }

  /** A fresh empty place. */
  async place(): Promise<EndpointInfo> {
    return (await this.#made()).endpoint;
  }

  /** How to remove a place before its time; `undefined` where the adapter's test does not say. */
  removalOf(place: EndpointInfo): (() => Promise<void>) | undefined {
    return this.#removals.get(place);
  }

  /** How to make a record of a place unreadable; `undefined` where the adapter's test does not say. */
  breakerOf(place: EndpointInfo): ((id: P2PId) => Promise<void>) | undefined {
    return this.#breakers.get(place);
  }

  /** How another user of the store changes a record of a place; `undefined` where the adapter's test does not say. */
  changerOf(place: EndpointInfo): ((id: P2PId) => Promise<void>) | undefined {
    return this.#changers.get(place);
  }

  /** The database that a place is in, and the place's name there; `undefined` where the adapter's test does not say. */
  databaseOf(place: EndpointInfo): { readonly endpoint: EndpointInfo; readonly name: string } | undefined {
    return this.#databases.get(place);
  }

  /** How another user of the store deletes records of a place; `undefined` where the adapter's test does not say. */
  deleterOf(place: EndpointInfo): ((ids: readonly P2PId[]) => Promise<void>) | undefined {
    return this.#deleters.get(place);
  }

  /** Tidies up something else that a check has made, at its end. */
  after(cleanup: () => Promise<void>): void {
    this.#cleanups.push(cleanup);
  }

  async #made(): Promise<{ readonly endpoint: EndpointInfo; readonly place: ConformancePlace }> {
    const place = await this.adapter.createEndpoint();
    if (place.dispose) this.#cleanups.push(() => place.dispose!());
    const endpoint = parseEndpoint(place.endpoint);
    if (place.remove ?? place.dispose) this.#removals.set(endpoint, () => (place.remove ?? place.dispose)!.call(place));
    if (place.database) {
      const { endpoint: given, name } = place.database;
      this.#databases.set(endpoint, { endpoint: parseEndpoint(given), name });
    }
    if (place.breakRecord) this.#breakers.set(endpoint, (id) => place.breakRecord!(id));
    if (place.changeRecord) this.#changers.set(endpoint, (id) => place.changeRecord!(id));
    if (place.deleteRecords) this.#deleters.set(endpoint, (ids) => place.deleteRecords!(ids));
    return { endpoint, place };
  }

  /** Opens a place, as the manager does. */
  async open(
    endpoint: EndpointInfo,
    role: "source" | "target",
    signal: AbortSignal = new AbortController().signal,
  ): Promise<P2PDataTransferService> {
    const service = await this.adapter.starter.open(endpoint, { role, signal, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    this.#cleanups.push(() => service.close());
    return service;
  }

  /** Writes records to a place and closes it again. Throws when one of them fails. */
  async write(endpoint: EndpointInfo, records: readonly P2PRecord[], mode: WriteMode = "upsert"): Promise<void> {
    const target = await this.open(endpoint, "target");
    await begin(target);
    for (let start = 0; start < records.length; start += FILL_BATCH) {
      assertAllWritten(await writeBatch(target, records.slice(start, start + FILL_BATCH), mode));
    }
    await target.sequential?.finish(calm());
    await target.close();
  }

  /** A fresh place with these records, opened as a source. */
  async filled(records: readonly P2PRecord[]): Promise<FilledPlace> {
    const endpoint = await this.place();
    await this.write(endpoint, records);
    return { endpoint, source: await this.open(endpoint, "source") };
  }

  /** A fresh place with these records, of which some can be deleted. */
  async removable(records: readonly P2PRecord[]): Promise<RemovablePlace> {
    const { endpoint, place } = await this.#made();
    await this.write(endpoint, records);
    const source = await this.open(endpoint, "source");
    return {
      source,
      without: async (ids) => {
        if (place.deleteRecords) {
          await place.deleteRecords(ids);
          return this.open(endpoint, "source");
        }
        const removed = new Set(ids.map(idKey));
        return (await this.filled(records.filter(({ id }) => !removed.has(idKey(id))))).source;
      },
    };
  }

  /** All that is in a place, through a service opened for it. */
  async contents(endpoint: EndpointInfo, query: P2PQuery = {}): Promise<P2PRecord[]> {
    const source = await this.open(endpoint, "source");
    const records = await readRecords(source, query);
    await source.close();
    return records;
  }

  /** Closes and removes all that was made, newest first; throws the first trouble after having tried everything. */
  async release(): Promise<void> {
    const errors: unknown[] = [];
    for (const cleanup of this.#cleanups.splice(0).reverse()) {
      await cleanup().catch((error: unknown) => errors.push(error));
    }
    if (errors.length > 0) throw errors[0];
  }
}

/** A place and its source. */
export interface FilledPlace {
  readonly endpoint: EndpointInfo;
  readonly source: P2PDataTransferService;
}

/** A place of which records can be deleted. */
export interface RemovablePlace {
  readonly source: P2PDataTransferService;
  /** The source without these records, opened anew. */
  without(ids: readonly P2PId[]): Promise<P2PDataTransferService>;
}

/** A signal that never aborts. */
export function calm(): AbortSignal {
  return new AbortController().signal;
}

/** All batches of a query. */
export async function readBatches(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  settings: ReadSettings = {},
): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  const options: ReadOptions = { batchSize: 100, signal: calm(), ...settings };
  for await (const batch of service.readFromSource(query, options)) {
    if (batch.records.length > options.batchSize) {
      throw new Error(`a batch has ${batch.records.length} records, but batchSize is ${options.batchSize}`);
    }
    const [failure] = batch.failures ?? [];
    if (failure !== undefined) {
      throw new Error(`record ${JSON.stringify(failure.id)} could not be read: ${failure.error.message}`);
    }
    batches.push(batch);
  }
  return batches;
}

/** All records of a query. */
export async function readRecords(
  service: P2PDataTransferService,
  query: P2PQuery = {},
  settings: ReadSettings = {},
): Promise<P2PRecord[]> {
  return (await readBatches(service, query, settings)).flatMap((batch) => batch.records);
}

/** Has a target that is written from its beginning to its end begin. */
export async function begin({ sequential }: P2PDataTransferService): Promise<void> {
  await sequential?.begin({ resumable: false, signal: calm() });
}

/** One batch, written as a transfer of it alone would write it. */
export async function write(
  service: P2PDataTransferService,
  records: readonly P2PRecord[],
  mode: WriteMode = "upsert",
): Promise<WriteResult> {
  await begin(service);
  const result = await writeBatch(service, records, mode);
  await service.sequential?.finish(calm());
  return result;
}

/** One call of `writeToTarget`, whose accounting must add up. */
async function writeBatch(
  service: P2PDataTransferService,
  records: readonly P2PRecord[],
  mode: WriteMode,
): Promise<WriteResult> {
  const result = await service.writeToTarget(records, { mode, signal: calm() });
  const { written, skipped, failures } = result;
  if (written + skipped + failures.length !== records.length) {
    throw new Error(
      `${records.length} records were given, but written ${written} + skipped ${skipped} + failures ${failures.length} is another number`,
    );
  }
  return result;
}

/** One look-up, which must have an outcome for each ref. */
export async function lookUp(
  service: P2PDataTransferService,
  refs: readonly IdRef[],
  query: P2PQuery = {},
  signal: AbortSignal = calm(),
): Promise<readonly LookUpOutcome[]> {
  const outcomes = await service.lookUp!(refs, query, { signal });
  if (outcomes.length !== refs.length) {
    throw new Error(`${refs.length} refs were given, but there are ${outcomes.length} outcomes`);
  }
  return outcomes;
}

/** One call of `deleteFromTarget`, whose accounting must add up. */
export async function deleteRefs(
  service: P2PDataTransferService,
  refs: readonly DeleteRef[],
  signal: AbortSignal = calm(),
): Promise<DeleteResult> {
  const result = await service.deleteFromTarget!(refs, { signal });
  const { deleted, absent, changed, failures } = result;
  if (deleted + absent + changed.length + failures.length !== refs.length) {
    throw new Error(
      `${refs.length} refs were given, but deleted ${deleted} + absent ${absent} + changed ${changed.length} + failures ${failures.length} is another number`,
    );
  }
  const places = [...changed, ...failures.map(({ index }) => index)];
  if (new Set(places).size < places.length || places.some((index) => refs[index] === undefined)) {
    throw new Error(`changed and failures must name places among ${refs.length} refs, each once: ${places.join(", ")}`);
  }
  return result;
}

/** All records of a query, each with the ref that leads to it. */
export async function readRefs(
  service: P2PDataTransferService,
  query: P2PQuery = {},
): Promise<{ readonly ref: IdRef; readonly record: P2PRecord }[]> {
  return (await readBatches(service, query)).flatMap(({ records, locators }) => {
    if (locators !== undefined && locators.length !== records.length) {
      throw new Error(`a batch has ${records.length} records, but ${locators.length} locators`);
    }
    return records.map((record, i) => {
      // As it is kept between two runs.
      const locator = locators?.[i] === undefined ? undefined : overWire(locators[i]);
      return { record, ref: { id: record.id, ...(locator !== undefined && { locator }) } };
    });
  });
}

/** Throws when a record was not written, with the adapter's reason. */
export function assertAllWritten(result: WriteResult): void {
  const [failure] = result.failures;
  if (failure !== undefined) {
    throw new Error(
      `${result.failures.length} of the records failed, the first at index ${failure.index} with ${failure.error.code}: ${failure.error.message}`,
    );
  }
}

/** The promise, or an error when it is not settled in time. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  return unlessLate(promise, milliseconds, () => new Error(`${what} took more than ${milliseconds} ms`));
}

/** What a promise was rejected with. Throws when it was not. */
export async function rejection(promise: Promise<unknown>, what: string): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`${what} must be rejected, but was not`);
}
