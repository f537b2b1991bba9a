import { countOf, FieldWatch } from "@omni/p2p-core/engine";
import { unlessAborted } from "@omni/p2p-core/starter";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { openContext, withStore } from "../endpoints/open.ts";
import { resolveTyped } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { CountFlags } from "../flags/count.ts";
import { printable } from "../output/printable.ts";
import { queryFrom } from "../query/query.ts";
import type { Session } from "../session/session.ts";

/** Records read at a time where a store cannot count. */
const BATCH = 1000;

/** `omni-p2p count` */
export async function countCommand(typed: string, flags: CountFlags, session: Session): Promise<ExitCode> {
  const query = queryFrom(flags);
  const { signal } = session;
  const endpoint = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  const counted = withStore(endpoint, openContext("source", session, flags.connectionTimeout), async (store) => {
    const watch = new FieldWatch(query);
    const told = await countOf(store, query, signal);
    if (told !== undefined) {
      watch.met(told);
      return { count: told, by: "store" as const, notes: await watch.notes(store, signal) };
    }
    let count = 0;
    for await (const { records, failures } of store.readFromSource(query, { batchSize: BATCH, signal })) {
      count += records.length + (failures?.length ?? 0);
      watch.look(records, failures?.length);
    }
    return { count, by: "read" as const, notes: await watch.notes(store, signal) };
  });
  const { count, by, notes } = await unlessAborted(counted, session.signal);
  session.out.event({ event: "count", endpoint: endpoint.shown, count, by, ...(notes.length > 0 && { notes }) });
  if (!session.out.json) session.out.data(String(count));
  for (const note of notes) session.out.note(printable(note));
  return ExitCode.OK;
}
