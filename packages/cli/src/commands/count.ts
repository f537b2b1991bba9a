import { openContext, withStore } from "../endpoints/open.ts";
import { resolveTyped } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { CountFlags } from "../program.ts";
import { queryFrom } from "../query/query.ts";
import { type Session, whileRunning } from "../session.ts";
import { namedEndpoints } from "./copy.ts";

/** Records read at a time where a store cannot count. */
const BATCH = 1000;

/** `omni-p2p count` */
export async function countCommand(typed: string, flags: CountFlags, session: Session): Promise<ExitCode> {
  const query = queryFrom(flags);
  const { signal } = session;
  const endpoint = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  const counted = withStore(endpoint, openContext("source", session, flags.connectionTimeout), async (store) => {
    const told = await store.count(query, signal);
    if (told !== undefined) return { count: told, by: "store" as const };
    let count = 0;
    for await (const { records, failures } of store.readFromSource(query, { batchSize: BATCH, signal })) {
      count += records.length + (failures?.length ?? 0);
    }
    return { count, by: "read" as const };
  });
  const { count, by } = await whileRunning(session, counted);
  session.out.event({ event: "count", endpoint: endpoint.shown, count, by });
  if (!session.out.json) session.out.data(String(count));
  return ExitCode.OK;
}
