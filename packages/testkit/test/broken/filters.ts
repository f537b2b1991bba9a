import {
  idKey,
  type P2PCondition,
  type P2PDataTransferService,
  type P2PQuery,
  type P2PRecord,
} from "@omni/p2p-core/starter";
import { type BrokenAdapter, broken, type Replaced, requeried } from "./sabotage.ts";

/** Not by id, though by something. */
const shuffled = { field: "number", direction: "desc" } as const;

/** Faults of queries, by what is wrong. */
export const brokenFilters: Readonly<Record<string, BrokenAdapter>> = {
  "takes null for null alone": broken(
    (service) => ({
      async *readFromSource(query, options) {
        const fields = Object.entries(query.where ?? {}).filter(([, condition]) => condition === null);
        for await (const batch of service.readFromSource({ ...query, fields: undefined as never }, options)) {
          const records = batch.records.filter((record) => fields.every(([field]) => Object.hasOwn(record, field)));
          yield { ...batch, records };
        }
      },
    }),
    "where on null, absent",
  ),
  "leaves absent fields out of ne": broken(
    withConditions((condition) =>
      isOperators(condition) && condition.ne !== undefined ? { ...condition, exists: true } : condition,
    ),
    "where on a field of type number:",
  ),
  "takes gte for gt": broken(
    withConditions((condition) =>
      isOperators(condition) && condition.gt !== undefined ? { gte: condition.gt } : condition,
    ),
    "where on a field of type date",
    "where finds what random conditions",
  ),
  "reads a star in a prefix as any text": broken(
    withConditions((condition) =>
      isOperators(condition) && condition.prefix !== undefined
        ? { prefix: condition.prefix.replace(/\*.*/s, "") }
        : condition,
    ),
    "operators, globs, quotes and query syntax in values",
    "operators, globs, quotes and query syntax in ids",
  ),
  "filters bigints as numbers": broken(
    withConditions((condition) => {
      if (typeof condition === "bigint") return Number(condition);
      if (!isOperators(condition)) return condition;
      return Object.fromEntries(
        Object.entries(condition).map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]),
      );
    }),
    "where on a field of type bigint",
  ),
  "finds ids by type": broken(
    (service) => ({
      async *readFromSource(query, options) {
        const id = query.where?.id;
        for await (const batch of service.readFromSource(query, options)) {
          const wrong = (record: P2PRecord): boolean =>
            (typeof id === "string" || typeof id === "number") && typeof id !== typeof record.id;
          yield { ...batch, records: batch.records.filter((record) => !wrong(record)) };
        }
      },
    }),
    "where on the id goes by its text",
  ),
  "cannot filter fields with a dot": broken(
    withConditions((condition, field) => (field.includes(".") ? "never" : condition)),
    "any text is the name of a field",
  ),
  "sorts null last": broken(
    resorted((a, b, field) => Number(isNull(b, field)) - Number(isNull(a, field))),
    "orderBy",
  ),
  "does not break ties by id": broken(
    requeried((query) =>
      query.orderBy === undefined ? query : { ...query, orderBy: [query.orderBy, shuffled].flat() },
    ),
    "orderBy on a field of type boolean",
    "orderBy breaks ties by number",
  ),
  "ignores the second order": broken(
    requeried((query) => (Array.isArray(query.orderBy) ? { ...query, orderBy: query.orderBy[0] } : query)),
    "orderBy on several fields",
    "orderBy goes with where",
  ),
};

/** Changes the conditions of a query one by one. */
function withConditions(change: (condition: P2PCondition, field: string) => P2PCondition) {
  return requeried((query) => {
    if (!query.where) return query;
    const where: Record<string, P2PCondition> = {};
    for (const [field, condition] of Object.entries(query.where)) {
      Object.defineProperty(where, field, { value: change(condition, field), enumerable: true, configurable: true });
    }
    return { ...query, where };
  });
}

function isOperators(
  condition: P2PCondition,
): condition is Exclude<P2PCondition, null | string | number | bigint | boolean | Date | Uint8Array> {
  return (
    typeof condition === "object" &&
    condition !== null &&
    !(condition instanceof Date) &&
    !(condition instanceof Uint8Array)
  );
}

function isNull(record: P2PRecord, field: string): boolean {
  return (record[field] ?? null) === null;
}

/** Puts another order before the one that a query asks for. */
function resorted(compare: (a: P2PRecord, b: P2PRecord, field: string) => number) {
  return (service: P2PDataTransferService): Replaced => ({
    async *readFromSource(query, options) {
      if (query.orderBy === undefined) {
        yield* service.readFromSource(query, options);
        return;
      }
      const first = [query.orderBy].flat()[0]!;
      const field = typeof first === "string" ? first : first.field;
      const all: P2PRecord[] = [];
      const { fields: _, ...whole } = query as P2PQuery & { fields?: unknown };
      for await (const batch of service.readFromSource(whole, { ...options, batchSize: 10_000 })) {
        all.push(...batch.records);
      }
      all.sort((a, b) => compare(b, a, field));
      for (let i = 0; i < all.length; i += options.batchSize) {
        const records = all.slice(i, i + options.batchSize);
        yield { records, cursor: idKey(records.at(-1)!.id) };
      }
    },
  });
}
