/** Planning of a job over a database: which collections, where they go, and in which order. */
import { isP2PError, messageOf, P2PError } from "../../errors.ts";
import { type CollectionList, collectionText, type ListedCollection } from "../../storage/collections.ts";
import { type EndpointInfo, endpointLabel } from "../../storage/endpoint.ts";
import { catalogueOf, listCollections } from "../../storage/list-collections.ts";
import { closeService, openService } from "../../storage/open-service.ts";
import type { CollectionCatalogue, P2PStarter } from "../../storage/service.ts";
import { type MappedCollection, mapNames, metError, parseRenames, placeOf } from "./names.ts";
import type { DatabasePlan, DatabaseSelection, PlannedCollection } from "./options.ts";
import { orderByReferences } from "./order.ts";
import { selectCollections } from "./select.ts";

/** Collections that are worked on at a time, where neither the user nor the target says it. */
const JOBS = 4;

/** One end of a job. */
export interface DatabaseEnd {
  readonly starter: P2PStarter;
  /** Names a database alone. */
  readonly endpoint: EndpointInfo;
}

/** How long a question to an end may take, in ms, and what gives it up. */
interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Says what a job would do. Nothing is written, and nothing is made in the target.
 *
 * @throws P2PError as {@link DatabaseJob.done} does before anything is written.
 */
export async function planDatabase(
  source: DatabaseEnd,
  target: DatabaseEnd,
  selection: DatabaseSelection,
  limits: Limits,
): Promise<DatabasePlan> {
  const rules = parseRenames(selection.rename ?? []);
  const from = catalogueOf(source.starter, source.endpoint);
  const to = catalogueOf(target.starter, target.endpoint);
  const listed = await listCollections(source.starter, source.endpoint, limits);
  const { chosen, notes } = selectCollections(listed, selection, endpointLabel(source.endpoint));
  const mapped = mapNames(
    chosen.filter(({ trouble }) => trouble === undefined),
    rules,
    to,
    target.endpoint,
  );
  const there = await targetCollections(target, limits);
  const entryOf = entriesOf(there.collections, to, target.endpoint);
  assertApart(mapped, there, entryOf, to, target.endpoint);
  const inSource = referencesOf(mapped, listed.collections, from, ({ collection }) => collection);
  const inTarget = referencesOf(mapped, there.collections, to, entryOf);
  const names = mapped.map(({ name }) => name);
  const both = new Map(
    names.map((name) => [name, new Set([...(inSource.get(name) ?? []), ...(inTarget.get(name) ?? [])])]),
  );
  const ordered = orderByReferences(names, both);
  const circles = orderByReferences(names, inTarget).circles;
  const unchecked = await uncheckedNames(circles, mapped, entryOf, to, target, limits);
  const place = new Map(ordered.names.map((name, at) => [name, at]));
  const collections = ordered.names.map((name): PlannedCollection => {
    const { collection, targetName, target: endpoint } = mapped.find((one) => one.name === name)!;
    // What is in a circle with it cannot go first.
    const after = [...both.get(name)!].filter((other) => place.get(other)! < place.get(name)!);
    const isUnchecked = unchecked.names.has(name);
    return {
      ...{ name, targetName, after },
      source: from.endpointOf(source.endpoint, nameOf(collection)),
      target: isUnchecked ? to.foreignKeys!.unchecked(endpoint) : endpoint,
      ...(collection.records !== undefined && { records: collection.records }),
      unchecked: isUnchecked,
    };
  });
  const troubles = chosen.flatMap((collection) =>
    collection.trouble === undefined ? [] : [{ name: collectionText(collection), reason: collection.trouble }],
  );
  return { collections, troubles, jobs: to.jobs ?? JOBS, notes: [...notes, ...unchecked.notes] };
}

/** The name that leads to a collection in its own database. */
function nameOf({ namespace, name, visible }: ListedCollection) {
  return visible === true ? { name } : { namespace, name };
}

/** What the target holds by now: nothing where it is not there yet. */
async function targetCollections(target: DatabaseEnd, limits: Limits): Promise<CollectionList> {
  try {
    return await listCollections(target.starter, target.endpoint, limits);
  } catch (error) {
    if (isP2PError(error, "SOURCE_NOT_FOUND")) return { collections: [] };
    throw error;
  }
}

/** By the name of each mapped collection the names of the mapped ones that it refers to. */
function referencesOf(
  mapped: readonly MappedCollection[],
  all: readonly ListedCollection[],
  catalogue: CollectionCatalogue,
  own: (one: MappedCollection) => ListedCollection | undefined,
): Map<string, Set<string>> {
  const formOf = (collection: { readonly namespace?: string | undefined; readonly name: string }) =>
    [collection.namespace ?? "", catalogue.nameForm?.(collection.name) ?? collection.name].join("\0");
  const byForm = new Map<string, string>();
  for (const one of mapped) {
    const collection = own(one);
    if (collection !== undefined && all.includes(collection)) byForm.set(formOf(collection), one.name);
  }
  return new Map(
    mapped.map((one) => {
      const to = (own(one)?.foreignKeys ?? []).flatMap(({ references }) => byForm.get(formOf(references)) ?? []);
      return [one.name, new Set(to)];
    }),
  );
}

/** Finds what the target holds by now under the name of a mapped collection. */
function entriesOf(
  there: readonly ListedCollection[],
  catalogue: CollectionCatalogue,
  target: EndpointInfo,
): (one: MappedCollection) => ListedCollection | undefined {
  // By what leads to them: the same table has several names, with a schema and without.
  const byPlace = new Map<string, ListedCollection>();
  for (const collection of there) {
    if (collection.trouble !== undefined) continue;
    const { namespace, name } = collection;
    byPlace.set(placeOf(catalogue.endpointOf(target, { namespace, name }), catalogue), collection);
    byPlace.set(placeOf(catalogue.endpointOf(target, nameOf(collection)), catalogue), collection);
  }
  return (one) => byPlace.get(placeOf(one.target, catalogue));
}

/** @throws P2PError `INVALID_CONFIG` where two names lead to one collection of the target, be it there or to be made. */
function assertApart(
  mapped: readonly MappedCollection[],
  there: CollectionList,
  entryOf: (one: MappedCollection) => ListedCollection | undefined,
  catalogue: CollectionCatalogue,
  target: EndpointInfo,
): void {
  const taken = new Map<ListedCollection | string, MappedCollection>();
  for (const one of mapped) {
    const { namespace = there.namespace, name } = one.becomes;
    const place = entryOf(one) ?? placeOf(catalogue.endpointOf(target, { namespace, name }), catalogue);
    const other = taken.get(place);
    if (other !== undefined) throw metError(other, one, endpointLabel(target));
    taken.set(place, one);
  }
}

/** Those whose foreign keys in the target go in a circle, where their checks can be put off. */
async function uncheckedNames(
  circles: readonly (readonly string[])[],
  mapped: readonly MappedCollection[],
  entryOf: (one: MappedCollection) => ListedCollection | undefined,
  catalogue: CollectionCatalogue,
  { starter, endpoint }: DatabaseEnd,
  limits: Limits,
): Promise<{ readonly names: ReadonlySet<string>; readonly notes: readonly string[] }> {
  const checks = catalogue.foreignKeys;
  const named = (name: string) => mapped.find((one) => one.name === name)!;
  const losesMore = (name: string) => checks?.alsoOff !== undefined && entryOf(named(name))?.triggers === true;
  // Of a table that refers to itself most rows find what they name, and the others are told one by one: its triggers are worth more.
  const checked = circles.filter((circle) => circle.length === 1 && losesMore(circle[0]!));
  const putOff = circles.filter((circle) => !checked.includes(circle));
  const notesOf = (alone: readonly (readonly string[])[]) =>
    alone.length === 0
      ? []
      : [
          `${alone.flat().join(", ")} ${alone.length === 1 ? "refers to itself" : "refer to themselves"} by a foreign key that the target checks: a record that comes before what it names fails`,
        ];
  if (putOff.length === 0) return { names: new Set(), notes: notesOf(checked) };
  const real = circles.filter((circle) => circle.length > 1);
  const text = (circle: readonly string[]) => [...circle, circle[0]!].join(" → ");
  try {
    if (checks === undefined) throw new Error(`the starter for '${endpoint.storageType}' does not know how`);
    const unchecked = checks.unchecked(named(putOff[0]![0]!).target);
    const opening = {
      role: "target",
      timeoutMs: limits.timeoutMs,
      ...(limits.signal && { signal: limits.signal }),
    } as const;
    await closeService(await openService(starter, unchecked, opening));
  } catch (cause) {
    limits.signal?.throwIfAborted();
    if (real.length === 0) return { names: new Set(), notes: notesOf(circles) };
    throw new P2PError(
      "FOREIGN_KEY_CIRCLE",
      `Foreign keys of ${endpointLabel(endpoint)} go in a circle, so that no order of the tables satisfies them: ${real.map(text).join("; ")}. ` +
        `Their checks cannot be put off there: ${messageOf(cause)}. Drop one of them until the copy is done, or leave a table of the circle out: exclude (--exclude)`,
      { cause },
    );
  }
  const names = putOff.flat();
  const losers = names.filter(losesMore);
  const lost = losers.length > 0 ? `. The ${checks.alsoOff} of ${losers.join(", ")} do not fire meanwhile` : "";
  return {
    names: new Set(names),
    notes: [
      `Foreign keys go in a circle (${putOff.map(text).join("; ")}): they are not checked while these are written, and looked at afterwards${lost}`,
      ...notesOf(checked),
    ],
  };
}
