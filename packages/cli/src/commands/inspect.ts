import { type EndpointInfo, isP2PError, type P2PQuery } from "@omni/p2p-core";
import { countOf, FieldWatch } from "@omni/p2p-core/engine";
import { encodeJson, type InspectedCollection, messageOf, type StoreInspection, toJson } from "@omni/p2p-core/starter";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { openContext, withinTime, withStore } from "../endpoints/open.ts";
import { describeEndpoint, type ResolvedEndpoint, resolveTyped } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { InspectFlags } from "../flags/inspect.ts";
import type { CollectionEvent } from "../output/events.ts";
import { formatCount, records as recordsText } from "../output/format.ts";
import type { Output } from "../output/output.ts";
import { printable } from "../output/printable.ts";
import { formatTable } from "../output/table.ts";
import { queryFrom } from "../query/query.ts";
import { type SampledField, sampledFields } from "../sampling/fields.ts";
import { takeSample } from "../sampling/sample.ts";
import type { Session } from "../session/session.ts";

/** Records read to find out the fields, and records shown, unless the user says otherwise. */
const DEFAULTS = { sample: 100, show: 3 };

/** What is looked at, and how. */
interface Look {
  readonly endpoint: ResolvedEndpoint;
  readonly query: P2PQuery;
  readonly flags: InspectFlags;
  readonly session: Session;
}

/** `omni-p2p inspect` */
export async function inspectCommand(typed: string, flags: InspectFlags, session: Session): Promise<ExitCode> {
  const query = queryFrom(flags);
  const endpoint = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  if (flags.list) return (await import("./list-collections.ts")).listCommand(endpoint, flags, session);
  const look: Look = { endpoint, query, flags, session };
  const { out } = session;
  const inspection = await inspectStore(look);
  if (inspection) {
    const names = inspection.collections.map((collection) => {
      const { name, records, trouble } = collection;
      if (trouble !== undefined) return `${name} (cannot be read)`;
      return records === undefined ? name : `${name} (${formatCount(records)})`;
    });
    out.line(printable(`${endpoint.shown}: ${inspection.product}; it has ${names.join(", ") || "nothing in it"}`));
  }
  let whole = true;
  for await (const event of collections(look, inspection)) {
    out.event(event);
    show(event, out);
    whole &&= event.trouble === undefined;
  }
  return whole ? ExitCode.OK : ExitCode.PARTIAL;
}

/** The starter's own look at the store, where it offers one. */
async function inspectStore({ endpoint, flags, session }: Look): Promise<StoreInspection | undefined> {
  const { starter } = endpoint;
  if (!starter.inspect) return undefined;
  const context = openContext("source", session, flags.connectionTimeout);
  return withinTime(endpoint, context, () => starter.inspect!(endpoint.endpoint, context));
}

/**
 * The collection that the endpoint names; all that were found when it names none. Of all, one that cannot be read is told
 * of, and does not end the rest.
 */
async function* collections(
  look: Look,
  inspection: StoreInspection | undefined,
): AsyncGenerator<CollectionEvent, void, undefined> {
  const product = inspection?.product;
  let only: CollectionEvent;
  try {
    only = await sampled(look, collectionOf(look.endpoint.endpoint, inspection), product);
  } catch (error) {
    const nothingNamed = isP2PError(error, "INVALID_ENDPOINT") || isP2PError(error, "SOURCE_NOT_FOUND");
    if (!nothingNamed || !inspection) throw error;
    // A name that is not among those that are there is an error; no name at all is a question for all of them.
    const named = look.endpoint.endpoint.database !== undefined;
    if (isP2PError(error, "SOURCE_NOT_FOUND") && named) throw error;
    for (const collection of inspection.collections) yield await lookedAt(look, collection, product);
    return;
  }
  yield only;
}

async function lookedAt(
  look: Look,
  collection: InspectedCollection,
  product: string | undefined,
): Promise<CollectionEvent> {
  const { name, trouble, fields } = collection;
  const told = (reason: string): CollectionEvent => ({
    event: "collection",
    endpoint: describeEndpoint(narrowed(look.endpoint.endpoint, collection)),
    ...(product !== undefined && { product }),
    name,
    ...(fields && { declared: fields }),
    trouble: reason,
  });
  if (trouble !== undefined) return told(trouble);
  try {
    return await sampled(look, collection, product);
  } catch (error) {
    if (look.session.signal.aborted) throw error;
    return told(messageOf(error));
  }
}

/** What the store itself says of the collection that an endpoint names. */
function collectionOf(
  { database, metadata = {} }: EndpointInfo,
  inspection: StoreInspection | undefined,
): InspectedCollection | undefined {
  const { collections = [] } = inspection ?? {};
  // The only one need not be named; but what is named must be it.
  const only = collections.length === 1;
  return collections.find(({ endpoint = {} }) => {
    const options = Object.entries(endpoint.metadata ?? {});
    const told = options.length > 0 || endpoint.database !== undefined;
    const fits = (wanted: unknown, given: unknown) => wanted === given || (only && given === undefined);
    const sameDatabase = endpoint.database === undefined || fits(endpoint.database, database);
    return told && sameDatabase && options.every(([name, value]) => fits(value, metadata[name]));
  });
}

async function sampled(
  { endpoint, query, flags, session }: Look,
  collection: InspectedCollection | undefined,
  product: string | undefined,
): Promise<CollectionEvent> {
  const info = collection ? narrowed(endpoint.endpoint, collection) : endpoint.endpoint;
  const shown = describeEndpoint(info);
  const context = openContext("source", session, flags.connectionTimeout);
  const { records, total, notes } = await withStore({ ...endpoint, endpoint: info, shown }, context, async (store) => {
    const { signal } = session;
    const { records, failures } = await takeSample(store, query, flags.sample ?? DEFAULTS.sample, signal);
    const watch = new FieldWatch(query);
    watch.look(records, failures.length);
    watch.declared((collection?.fields ?? []).map(({ name }) => name));
    const total = collection?.records ?? (await countOf(store, query, signal));
    return { records, total, notes: await watch.notes(store, signal) };
  });
  return {
    event: "collection",
    endpoint: shown,
    ...(product !== undefined && { product }),
    name: collection?.name ?? shown,
    ...(total !== undefined && { records: total }),
    ...(collection?.fields && { declared: collection.fields }),
    ...(collection?.trouble !== undefined && { trouble: collection.trouble }),
    fields: sampledFields(records),
    samples: records.slice(0, flags.show ?? DEFAULTS.show).map(toJson),
    ...(notes.length > 0 && { notes }),
  };
}

/** The endpoint of one collection of a store. */
function narrowed(endpoint: EndpointInfo, { endpoint: part }: InspectedCollection): EndpointInfo {
  return {
    ...endpoint,
    ...(part?.database !== undefined && { database: part.database }),
    metadata: { ...endpoint.metadata, ...part?.metadata },
  };
}

function show(event: CollectionEvent, out: Output): void {
  const count = event.records === undefined ? "" : ` (${recordsText(event.records)})`;
  out.line("");
  out.line(`${printable(event.name)}${count}`);
  if (event.trouble !== undefined) out.line(`  cannot be read: ${printable(event.trouble)}`);
  for (const line of formatTable(["FIELD", "DECLARED", "HOLDS", "FILLED", "EXAMPLE"], rowsOf(event)))
    out.line(`  ${line}`);
  for (const sample of event.samples ?? []) out.line(`  ${printable(cut(encodeSample(sample)))}`);
  for (const note of event.notes ?? []) out.note(printable(`${event.name}: ${note}`));
}

/** Declared fields first, then those that only the records show. */
function rowsOf({ declared = [], fields = [] }: CollectionEvent): string[][] {
  const found = new Map((fields as readonly SampledField[]).map((field) => [field.field, field]));
  const names = new Set([...declared.map(({ name }) => name), ...found.keys()]);
  return [...names].map((name) => {
    const own = declared.find((field) => field.name === name);
    const seen = found.get(name);
    return [
      own?.key ? `${name} *` : name,
      own?.type ?? "",
      seen?.types.join(", ") ?? "",
      seen ? `${Math.round(seen.filled * 100)}%` : "0%",
      seen?.example ?? "",
    ];
  });
}

function encodeSample(sample: unknown): string {
  return typeof sample === "object" ? JSON.stringify(sample) : encodeJson(String(sample));
}

/** Longest line of a sample. */
const LINE = 400;

function cut(text: string): string {
  return text.length > LINE ? `${text.slice(0, LINE - 1)}…` : text;
}
