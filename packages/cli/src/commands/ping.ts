import { isP2PError } from "@omni/p2p-core";
import { unlessAborted } from "@omni/p2p-core/starter";
import { namedEndpoints } from "../config/named-endpoints.ts";
import { openContext, withinTime, withStore } from "../endpoints/open.ts";
import { type ResolvedEndpoint, resolveTyped } from "../endpoints/resolve.ts";
import { ExitCode } from "../exit-code.ts";
import type { PingFlags } from "../flags/ping.ts";
import type { PingEvent } from "../output/events.ts";
import { formatDuration } from "../output/format.ts";
import type { Session } from "../session/session.ts";

/** `omni-p2p ping` */
export async function pingCommand(typed: string, flags: PingFlags, session: Session): Promise<ExitCode> {
  const endpoint = await resolveTyped(typed, "source", session, namedEndpoints(flags.config));
  const event = await unlessAborted(ping(endpoint, flags, session), session.signal);
  session.out.event(event);
  const { openMs, pingMs, note } = event;
  const times = `opened in ${formatDuration(openMs)}, answered in ${formatDuration(pingMs)}`;
  session.out.line(`${event.endpoint} is up: ${times}${note === undefined ? "" : ` (${note})`}`);
  return ExitCode.OK;
}

async function ping(endpoint: ResolvedEndpoint, flags: PingFlags, session: Session): Promise<PingEvent> {
  const startedAt = performance.now();
  const context = openContext("source", session, flags.connectionTimeout);
  try {
    return await withStore(endpoint, context, async (store) => {
      const openedAt = performance.now();
      await store.ping(openContext("source", session, flags.connectionTimeout).signal);
      return told(endpoint, openedAt - startedAt, performance.now() - openedAt);
    });
  } catch (error) {
    const { starter } = endpoint;
    // A store may be up though its table is missing, or was not named; a look at the store as a whole tells.
    const open = isP2PError(error, "SOURCE_NOT_FOUND") || isP2PError(error, "INVALID_ENDPOINT");
    if (!open || !starter.inspect) throw error;
    const openedAt = performance.now();
    await withinTime(endpoint, context, () => starter.inspect!(endpoint.endpoint, context)).catch(() => {
      throw error;
    });
    return { ...told(endpoint, openedAt - startedAt, performance.now() - openedAt), note: error.message };
  }
}

function told({ shown }: ResolvedEndpoint, openMs: number, pingMs: number): PingEvent {
  return { event: "ping", endpoint: shown, openMs, pingMs };
}
