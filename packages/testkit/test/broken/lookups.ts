import {
  type IdRef,
  idKey,
  type LookUpOutcome,
  type P2PDataTransferService,
  P2PError,
  type P2PQuery,
  type P2PRecord,
  type RecordBatch,
} from "@omni/p2p-core/starter";
import { careful, networkAdapter } from "./network.ts";
import { type BrokenAdapter, broken, brokenOpen, type Replaced } from "./sabotage.ts";

const never = new AbortController().signal;
const ABSENT: LookUpOutcome = { state: "absent" };

/** Changes each outcome of a look-up by itself. */
function withOutcomes(
  change: (outcome: LookUpOutcome, ref: IdRef, index: number) => LookUpOutcome,
): (service: P2PDataTransferService) => Replaced {
  return (service) => ({
    async lookUp(refs, query, options) {
      const outcomes = await service.lookUp!(refs, query, options);
      return outcomes.map((outcome, i) => change(outcome, refs[i]!, i));
    },
  });
}

/** Asks with other refs or another query than were given. */
function asking(
  change: (refs: readonly IdRef[], query: P2PQuery) => readonly [readonly IdRef[], P2PQuery],
): (service: P2PDataTransferService) => Replaced {
  return (service) => ({ lookUp: (refs, query, options) => service.lookUp!(...change(refs, query), options) });
}

/** Faults of look-ups, by what is wrong. */
export const brokenLookUps: Readonly<Record<string, BrokenAdapter>> = {
  "gives outcomes in its own order": broken(
    (service) => ({
      async lookUp(refs, query, options) {
        const sorted = [...refs].sort((a, b) => (idKey(a.id) < idKey(b.id) ? -1 : 1));
        return service.lookUp!(sorted, query, options);
      },
    }),
    "outcomes of a look-up are in the order",
    "each ref of a look-up gets its outcome",
    "10,000 ids are looked up",
  ),
  "leaves absent ids out of the outcomes": broken(
    (service) => ({
      lookUp: async (refs, query, options) =>
        (await service.lookUp!(refs, query, options)).filter(({ state }) => state !== "absent"),
    }),
    "outcomes of a look-up are in the order",
    "ids of any text are looked up",
  ),
  "takes an absent id for an error": broken(
    withOutcomes((outcome) => {
      if (outcome.state === "absent") throw new P2PError("READ_FAILED", "There is no such record");
      return outcome;
    }),
    "outcomes of a look-up are in the order",
  ),
  "says absent of what the query does not want": broken(
    withOutcomes((outcome) => (outcome.state === "unwanted" ? ABSENT : outcome)),
    "the query of a look-up says",
    "look-ups and reading agree on where: a field of type number",
    "10,000 ids are looked up",
  ),
  "wants whatever is there": broken(
    asking((refs, { where: _, type: __, ...query }) => [refs, query]),
    "the query of a look-up says",
    "look-ups and reading agree on where: a field of type boolean",
    "look-ups and reading agree on where: generated",
  ),
  "looks at the type and not at where": broken(
    asking((refs, { where: _, ...query }) => [refs, query]),
    "the query of a look-up says",
  ),
  "gives whole records whatever fields are asked for": broken(
    asking((refs, { fields: _, ...query }) => [refs, query]),
    "the query of a look-up says",
    "look-ups and reading agree on where: a field of type date",
  ),
  "forgets the part of a query": broken(
    asking((refs, { partition: _, ...query }) => [refs, query]),
    "a look-up in a part of a query",
  ),
  "judges by rules of its own": broken((service) => {
    const ne = ({ where, ...query }: P2PQuery): P2PQuery => ({
      ...query,
      where: Object.fromEntries(
        Object.entries(where ?? {}).map(([field, condition]) => [
          field,
          typeof condition === "object" && condition !== null && "ne" in condition
            ? { ...condition, exists: true }
            : condition,
        ]),
      ),
    });
    return { lookUp: (refs, query, options) => service.lookUp!(refs, query.where ? ne(query) : query, options) };
  }, "look-ups and reading agree on where: a field of type string"),
  "makes numbers of bigints in what it looks up": broken(
    withOutcomes((outcome) => {
      if (outcome.state !== "wanted") return outcome;
      const fields = Object.entries(outcome.record).map(([field, value]) => [
        field,
        typeof value === "bigint" ? Number(value) : value,
      ]);
      return { ...outcome, record: Object.fromEntries(fields) as P2PRecord };
    }),
    "outcomes of a look-up are in the order",
    "ids that are bigints are looked up",
  ),
  "gives ids back as they were asked for": broken(
    withOutcomes((outcome, { id }) =>
      outcome.state === "wanted" ? { ...outcome, record: { ...outcome.record, id } } : outcome,
    ),
    "a look-up finds a record by its id's text",
  ),
  "finds ids by type": broken((service) => {
    return {
      async lookUp(refs, query, options) {
        const outcomes = await service.lookUp!(refs, query, options);
        return outcomes.map((outcome, i) =>
          outcome.state === "wanted" && typeof outcome.record.id !== typeof refs[i]!.id ? ABSENT : outcome,
        );
      },
    };
  }, "a look-up finds a record by its id's text"),
  "makes numbers of ids that look like them": broken(
    asking((refs, query) => [
      refs.map((ref) =>
        typeof ref.id === "string" && !Number.isNaN(Number(ref.id)) ? { ...ref, id: Number(ref.id) } : ref,
      ),
      query,
    ]),
    "ids of any text are looked up",
  ),
  "takes small letters for large ones": broken(
    (service) => {
      const known = async (query: P2PQuery): Promise<Map<string, P2PRecord>> => {
        const found = new Map<string, P2PRecord>();
        for await (const { records } of service.readFromSource(query, { batchSize: 10_000, signal: never })) {
          for (const record of records) found.set(idKey(record.id).toLowerCase(), record);
        }
        return found;
      };
      return {
        async lookUp(refs, query, options) {
          const outcomes = await service.lookUp!(refs, query, options);
          const found = await known(query);
          return outcomes.map((outcome, i): LookUpOutcome => {
            const record = found.get(idKey(refs[i]!.id).toLowerCase());
            return outcome.state === "absent" && record !== undefined ? { state: "wanted", record } : outcome;
          });
        },
      };
    },
    "outcomes of a look-up are in the order",
    "ids of any text are looked up",
  ),
  "trims ids": broken(
    asking((refs, query) => [
      refs.map((ref) => (typeof ref.id === "string" && ref.id.trim() !== "" ? { ...ref, id: ref.id.trim() } : ref)),
      query,
    ]),
    "outcomes of a look-up are in the order",
    "ids of any text are looked up",
  ),
  "cuts ids at 256 characters": broken(
    asking((refs, query) => [
      refs.map((ref) => (typeof ref.id === "string" ? { ...ref, id: ref.id.slice(0, 256) } : ref)),
      query,
    ]),
    "ids of more than 256 characters are looked up",
    "ids of 2,000 characters are looked up",
  ),
  "looks at the first 1,000 ids alone": broken(
    withOutcomes((outcome, _, i) => (i < 1000 ? outcome : ABSENT)),
    "10,000 ids are looked up",
  ),
  "cannot take 10,000 ids": broken(
    (service) => ({
      lookUp(refs, query, options) {
        if (refs.length > 5000) throw new P2PError("READ_FAILED", "too many parameters");
        return service.lookUp!(refs, query, options);
      },
    }),
    "10,000 ids are looked up",
  ),
  "asks for one id at a time": {
    adapter: networkAdapter(careful, (ask) => (service) => ({
      async lookUp(refs, query, options) {
        for (const _ of refs) await ask();
        return service.lookUp!(refs, query, options);
      },
    })),
    caughtBy: ["10,000 ids are looked up"],
  },
  "looks up an id once that comes twice": broken((service) => {
    return {
      async lookUp(refs, query, options) {
        const seen = new Set<string>();
        const outcomes = await service.lookUp!(refs, query, options);
        return outcomes.map((outcome, i) => {
          const again = seen.has(idKey(refs[i]!.id));
          seen.add(idKey(refs[i]!.id));
          return again ? ABSENT : outcome;
        });
      },
    };
  }, "each ref of a look-up gets its outcome"),
  "cannot look up nothing": broken(
    (service) => ({
      async lookUp(refs, query, options) {
        if (refs.length === 0) throw new P2PError("INVALID_QUERY", "in takes at least one value");
        return service.lookUp!(refs, query, options);
      },
    }),
    "a look-up of nothing",
  ),
  "tells locators that lead nowhere": broken(
    (service) => ({
      async *readFromSource(query, options) {
        for await (const batch of service.readFromSource(query, options)) {
          yield { ...batch, locators: batch.records.map((_, i): string => `shelf ${i}`) };
        }
      },
      async lookUp(refs, query, options) {
        const outcomes = await service.lookUp!(refs, query, options);
        return outcomes.map((outcome, i) => (refs[i]!.locator === "shelf 7" ? ABSENT : outcome));
      },
    }),
    "locators from reading and from look-ups",
  ),
  "tells fewer locators than records": broken(
    (service) => ({
      async *readFromSource(query, options): AsyncGenerator<RecordBatch> {
        for await (const batch of service.readFromSource(query, options)) yield { ...batch, locators: ["first"] };
      },
    }),
    "locators from reading and from look-ups",
  ),
  "keeps locators that another service does not know": broken((service) => {
    const known = new Map<string, string>();
    return {
      async lookUp(refs, query, options) {
        const outcomes = await service.lookUp!(refs, query, options);
        return outcomes.map((outcome, i) => {
          const locator = refs[i]!.locator;
          if (locator !== undefined && known.get(String(locator)) === undefined) return ABSENT;
          if (outcome.state !== "wanted") return outcome;
          const made = `locator ${known.size}`;
          known.set(made, idKey(refs[i]!.id));
          return { ...outcome, locator: made };
        });
      },
    };
  }, "locators from reading and from look-ups"),
  "takes a record that it cannot read for an absent one": broken(
    withOutcomes((outcome) => (outcome.state === "failed" ? ABSENT : outcome)),
    "a record that cannot be read is failed",
  ),
  "fails whatever was asked with a record that it cannot read": broken(
    (service) => ({
      async lookUp(refs, query, options) {
        const outcomes = await service.lookUp!(refs, query, options);
        const failed = outcomes.find(({ state }) => state === "failed");
        return failed ? outcomes.map(() => failed) : outcomes;
      },
    }),
    "a record that cannot be read is failed",
  ),
  "takes a removed source for an empty one": broken(
    (service) => ({
      lookUp: (refs, query, options) =>
        service.lookUp!(refs, query, options).catch((error: unknown) => {
          if (error instanceof P2PError && error.code === "SOURCE_NOT_FOUND") return refs.map(() => ABSENT);
          throw error;
        }),
    }),
    "after the source was removed",
  ),
  "takes no notice of limit and offset": broken(
    asking((refs, { limit: _, offset: __, ...query }) => [refs, query]),
    "a look-up refuses what it cannot answer by id",
  ),
  "takes no notice of what it does not know in a query": broken(
    asking((refs, { native: _, ...query }) => [refs, query]),
    "a look-up refuses what it cannot answer by id",
  ),
  "ignores an abort of a look-up": broken(
    (service) => ({ lookUp: (refs, query) => service.lookUp!(refs, query, { signal: never }) }),
    "an aborted signal stops a look-up",
  ),
  "takes its time for a look-up that was aborted": broken(
    (service) => ({
      async lookUp(refs, query, options) {
        options.signal.throwIfAborted();
        await new Promise((resolve) => setTimeout(resolve, refs.length > 5000 ? 2500 : 0));
        return service.lookUp!(refs, query, options);
      },
    }),
    "aborting in the middle of a look-up",
  ),
  "finds nothing in what was opened as a target": brokenOpen(
    (open) => async (endpoint, context) => {
      const service = await open(endpoint, context);
      if (context.role === "source") return service;
      return { ...service, lookUp: async (refs) => refs.map(() => ABSENT) };
    },
    "a target looks up what was written to it",
  ),
  "says that it looks up, and cannot": broken(
    () => ({ lookUp: undefined as never }),
    "capabilities are complete, and true",
  ),
  "does not say whether there is a feed of changes": broken(
    ({ capabilities }) => ({ capabilities: { ...capabilities, changes: undefined as never } }),
    "capabilities are complete, and true",
  ),
  "cannot tell an identity": broken(() => ({ identity: undefined as never }), "capabilities are complete, and true"),
  "looks up, and does not say so": broken(
    ({ capabilities }) => ({ capabilities: { ...capabilities, lookUp: false } }),
    "capabilities are complete, and true",
  ),
  "says that it deletes, and cannot": broken(
    () => ({ deleteFromTarget: undefined as never }),
    "capabilities are complete, and true",
  ),
};
