/** `omni-p2p inspect --list`: the catalogue of a database. */
import { catalogueOf, listCollections } from "@omni/p2p-core/engine";
import { collectionText, type ListedCollection } from "@omni/p2p-core/starter";
import { openContext, withinTime } from "../endpoints/open.ts";
import { describeEndpoint, type ResolvedEndpoint } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { InspectFlags } from "../flags/inspect.ts";
import type { ListedEvent } from "../output/events.ts";
import { formatCount } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { formatTable } from "../output/table.ts";
import type { Session } from "../session/session.ts";

export async function listCommand(end: ResolvedEndpoint, flags: InspectFlags, session: Session): Promise<ExitCode> {
  const { endpoint, starter } = end;
  const { out } = session;
  const catalogue = catalogueOf(starter, endpoint);
  const context = openContext("source", session, flags.connectionTimeout);
  const { collections, incomplete } = await withinTime(end, context, () =>
    listCollections(starter, endpoint, { timeoutMs: context.connectTimeoutMs, signal: session.signal }),
  );
  const listed = collections.map((collection): ListedEvent => {
    const { namespace, name, kind, records, key, foreignKeys, trouble } = collection;
    return {
      event: "listed",
      ...(trouble === undefined && { endpoint: describeEndpoint(catalogue.endpointOf(endpoint, nameOf(collection))) }),
      ...(namespace !== undefined && { namespace }),
      ...{ name, kind },
      ...(records !== undefined && { records }),
      ...(key && { key }),
      ...(foreignKeys && {
        foreignKeys: foreignKeys.map(({ fields, references }) => ({ fields, references: collectionText(references) })),
      }),
      ...(trouble !== undefined && { trouble }),
    };
  });
  for (const event of listed) out.event(event);
  const rows = collections.map((collection, at) => [
    collectionText(collection),
    collection.kind,
    collection.records === undefined ? "" : formatCount(collection.records),
    collection.trouble ?? listed[at]!.endpoint!,
  ]);
  out.line(`${printable(end.shown)}: ${collections.length === 0 ? "nothing in it" : formatCount(collections.length)}`);
  if (rows.length > 0) {
    for (const line of formatTable(["NAME", "KIND", "RECORDS, ABOUT", "ENDPOINT"], rows)) out.line(`  ${line}`);
  }
  if (incomplete !== undefined) out.note(printable(`This may not be all: ${incomplete}`));
  return collections.some(({ trouble }) => trouble !== undefined) ? ExitCode.PARTIAL : ExitCode.OK;
}

/** The name that leads to a collection: without its namespace where that is not needed. */
function nameOf({ namespace, name, visible }: ListedCollection) {
  return visible === true ? { name } : { namespace, name };
}
