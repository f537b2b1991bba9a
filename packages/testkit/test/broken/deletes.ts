import {
  type DeleteRef,
  type DeleteResult,
  idKey,
  type P2PDataTransferService,
  P2PError,
  type P2PRecord,
} from "@omni/p2p-core/starter";
import { careful, networkAdapter } from "./network.ts";
import { type BrokenAdapter, broken, type Replaced } from "./sabotage.ts";

const never = new AbortController().signal;

/** Deletes other refs than were given. */
function deleting(change: (refs: readonly DeleteRef[]) => readonly DeleteRef[]) {
  return (service: P2PDataTransferService): Replaced => ({
    deleteFromTarget: (refs, options) => service.deleteFromTarget!(change(refs), options),
  });
}

/** Tells something else than what was done. */
function telling(change: (result: DeleteResult, refs: readonly DeleteRef[]) => DeleteResult) {
  return (service: P2PDataTransferService): Replaced => ({
    deleteFromTarget: async (refs, options) => change(await service.deleteFromTarget!(refs, options), refs),
  });
}

async function idsOf(service: P2PDataTransferService): Promise<Map<string, P2PRecord>> {
  const found = new Map<string, P2PRecord>();
  for await (const { records } of service.readFromSource({}, { batchSize: 10_000, signal: never })) {
    for (const record of records) found.set(idKey(record.id), record);
  }
  return found;
}

/** Texts of ids, changed one by one. */
function renaming(change: (id: string) => string) {
  return deleting((refs) => refs.map((ref) => (typeof ref.id === "string" ? { ...ref, id: change(ref.id) } : ref)));
}

/** Faults of deletes, by what is wrong. */
export const brokenDeletes: Readonly<Record<string, BrokenAdapter>> = {
  "acknowledges deletes that it does not make": broken(
    () => ({ deleteFromTarget: async (refs) => ({ deleted: refs.length, absent: 0, changed: [], failures: [] }) }),
    "what was deleted is gone",
    "to delete an id of no record",
    "10,000 records are deleted",
  ),
  "deletes only the first of each call": broken(
    deleting((refs) => refs.map((ref, i) => (i === 0 ? ref : { id: `none of ${i}` }))),
    "what was deleted is gone",
    "deletes and writes run in parallel",
  ),
  "counts what was deleted still": broken((service) => {
    const most = 0;
    return {
      async count(query, signal) {
        const now = await service.count(query, signal);
        return query.where ? now : Math.max(now ?? 0, most, 60);
      },
    };
  }, "what was deleted is gone"),
  "marks what is deleted, and reads past the marks": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        const there = await idsOf(service);
        const gone = refs.filter(({ id }) => there.has(idKey(id)));
        if (gone.length > 0) {
          await service.writeToTarget(
            gone.map(({ id }) => ({ id, deleted: true })),
            { mode: "upsert", signal: options.signal },
          );
        }
        return { deleted: gone.length, absent: refs.length - gone.length, changed: [], failures: [] };
      },
    }),
    "what was deleted is gone",
    "what was deleted can be written again",
  ),
  "takes an absent id for a failure": broken(
    telling((result, refs) => ({
      ...result,
      absent: 0,
      failures: [
        ...result.failures,
        ...refs
          .map(({ id }, index) => ({ index, id, error: new P2PError("WRITE_FAILED", "not found") }))
          .slice(0, result.absent),
      ],
    })),
    "to delete an id of no record",
    "an id that comes twice",
  ),
  "counts absent ids as deleted": broken(
    telling((result) => ({ ...result, deleted: result.deleted + result.absent, absent: 0 })),
    "to delete an id of no record",
    "nothing is deleted of a target in which nothing is yet",
    "an id that comes twice",
  ),
  "loses count": broken(
    telling((result) => ({ ...result, deleted: Math.min(result.deleted, 1) })),
    "what was deleted is gone",
  ),
  "cannot delete nothing": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        if (refs.length === 0) throw new P2PError("INVALID_QUERY", "in takes at least one value");
        return service.deleteFromTarget!(refs, options);
      },
    }),
    "a delete of nothing",
  ),
  "deletes everything when it is given nothing": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        if (refs.length > 0) return service.deleteFromTarget!(refs, options);
        const all = [...(await idsOf(service)).values()].map(({ id }) => ({ id }));
        await service.deleteFromTarget!(all, options);
        return { deleted: 0, absent: 0, changed: [], failures: [] };
      },
    }),
    "a delete of nothing",
  ),
  "takes no notice of what is expected": broken(
    deleting((refs) => refs.map(({ expected: _, ...ref }) => ref)),
    "a record that is not the expected one",
    "a record that cannot be read is not deleted",
  ),
  "finds everything changed that is expected": broken(
    deleting((refs) => refs.map((ref) => (ref.expected === undefined ? ref : { ...ref, expected: "other" }))),
    "an id that comes twice",
    "every sample record is deleted on the expectation",
  ),
  "says absent of what has changed": broken(
    telling((result) => ({ ...result, changed: [], absent: result.absent + result.changed.length })),
    "a record that is not the expected one",
  ),
  "names other places of what has changed": broken(
    telling((result) => ({ ...result, changed: result.changed.map((_, i) => i) })),
    "a record that is not the expected one",
  ),
  "looks at the expected digest for the first of a call": broken(
    deleting((refs) => refs.map((ref, i) => (i === 0 ? ref : { id: ref.id }))),
    "a record that is not the expected one",
  ),
  "deletes at most 1,000 in a call": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        const result = await service.deleteFromTarget!(refs.slice(0, 1000), options);
        return { ...result, deleted: result.deleted + Math.max(0, refs.length - 1000) };
      },
    }),
    "10,000 records are deleted",
  ),
  "deletes one at a time": {
    adapter: networkAdapter(careful, (ask) => (service) => ({
      async deleteFromTarget(refs, options) {
        for (const _ of refs) await ask();
        return service.deleteFromTarget!(refs, options);
      },
    })),
    caughtBy: ["10,000 records are deleted"],
  },
  "deletes ids that begin alike": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        const result = await service.deleteFromTarget!(refs, options);
        const there = await idsOf(service);
        const like = [...there.values()].filter(({ id }) =>
          refs.some((ref) => idKey(ref.id) !== "" && idKey(id).startsWith(idKey(ref.id))),
        );
        await service.deleteFromTarget!(like, options);
        return result;
      },
    }),
    "to delete an id of no record",
    "ids of any text are deleted",
  ),
  "cuts ids at 256 characters when it deletes": broken(
    renaming((id) => id.slice(0, 256)),
    "ids of more than 256 characters are deleted",
    "ids of 2,000 characters are deleted",
  ),
  "trims ids when it deletes": broken(
    renaming((id) => id.trim() || id),
    "ids of any text are deleted",
  ),
  "makes texts lower case when it deletes": broken(
    renaming((id) => id.toLowerCase()),
    "ids of any text are deleted",
  ),
  "does not delete ids that are no texts": broken(
    deleting((refs) => refs.map((ref) => (typeof ref.id === "string" ? ref : { ...ref, id: "no text" }))),
    "ids that are whole numbers are deleted",
    "ids that are dates are deleted",
    "ids that are objects and tagged values are deleted",
    "a delete takes the record that a write would replace: 1",
  ),
  "deletes by type": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        const there = await idsOf(service);
        const typed = refs.map((ref) => {
          const found = there.get(idKey(ref.id));
          return found !== undefined && typeof found.id !== typeof ref.id ? { ...ref, id: "another type" } : ref;
        });
        return service.deleteFromTarget!(typed, options);
      },
    }),
    "a delete takes the record that a write would replace: 1",
  ),
  "cannot write what it has deleted": broken((service) => {
    const gone = new Set<string>();
    return {
      async deleteFromTarget(refs, options) {
        for (const { id } of refs) gone.add(idKey(id));
        return service.deleteFromTarget!(refs, options);
      },
      async writeToTarget(records, options) {
        const rest = records.filter(({ id }) => !gone.has(idKey(id)));
        const result = await service.writeToTarget(rest, options);
        return { ...result, written: result.written + records.length - rest.length };
      },
    };
  }, "what was deleted can be written again"),
  "takes a locator for the id": broken(
    (service) => ({
      async *readFromSource(query, options) {
        for await (const batch of service.readFromSource(query, options)) {
          yield { ...batch, locators: batch.records.map(({ id }) => `at ${idKey(id)}`) };
        }
      },
      deleteFromTarget: (refs, options) =>
        service.deleteFromTarget!(
          refs.map((ref) => (ref.locator === undefined ? ref : { ...ref, id: String(ref.locator) })),
          options,
        ),
    }),
    "locators from reading lead a delete",
  ),
  "ignores an abort of a delete": broken(
    (service) => ({ deleteFromTarget: (refs) => service.deleteFromTarget!(refs, { signal: never }) }),
    "an aborted signal stops a delete",
  ),
  "takes its time for a delete that was aborted": broken(
    (service) => ({
      async deleteFromTarget(refs, options) {
        options.signal.throwIfAborted();
        if (refs.length === 290) await new Promise((resolve) => setTimeout(resolve, 2500));
        return service.deleteFromTarget!(refs, options);
      },
    }),
    "aborting in the middle of a delete",
  ),
  "is another thing after a delete": broken((service) => {
    return {
      identity: async (signal) => {
        const there = await idsOf(service).catch(() => new Map());
        return { ...(await service.identity!(signal)), incarnation: there.size === 0 ? "new" : "old" };
      },
    };
  }, "a place of which every record was deleted"),
  "loses one of two parallel deletes": broken((service) => {
    let busy = 0;
    return {
      async deleteFromTarget(refs, options) {
        busy++;
        try {
          await new Promise((resolve) => setTimeout(resolve, 2));
          if (busy > 1) return { deleted: refs.length, absent: 0, changed: [], failures: [] };
          return await service.deleteFromTarget!(refs, options);
        } finally {
          busy--;
        }
      },
    };
  }, "deletes and writes run in parallel"),
};
