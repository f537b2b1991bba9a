import type { JsonValue } from "@omni/p2p-core/starter";
import type { Command } from "../client/command.ts";
import { type Key, toKey } from "../client/keys.ts";
import type { RedisLink } from "../client/link.ts";
import { quietly } from "../client/quietly.ts";
import { ALL_SLOTS, inRanges, keySlot, otherSlots, type SlotRange, unitedSlots } from "../client/slots.ts";
import type { Share } from "../client/topology.ts";
import type { KeyRequest } from "../query/query.ts";

/** A place in a scan: where the next page starts. */
export interface ScanPosition {
  /** The run of the server: its cursors mean nothing to another, nor to itself after a restart. */
  readonly run: string;
  /** The server's cursor; "0" is the beginning. */
  readonly at: string;
  /** Of a cluster: slots that have been read already. */
  readonly done?: readonly SlotRange[];
}

/** What one SCAN gave. */
export interface KeyPage {
  readonly keys: readonly Key[];
  readonly start: ScanPosition;
}

/** The cursor that means both the beginning and the end. */
const ORIGIN = "0";

/**
 * The keys that are asked for, page by page. A key that is there all the time comes at least once, also when the
 * server's table grows or shrinks meanwhile, when slots move to another node, and when a server restarts, after which
 * its scan begins anew.
 *
 * @param from where to begin; the beginning when the server there is not the same any more.
 */
export async function* keyPages(
  link: RedisLink,
  request: KeyRequest,
  scanCount: number,
  from: ScanPosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<KeyPage, undefined> {
  const foreign = request.slots ? otherSlots([request.slots]) : [];
  let done: readonly SlotRange[] = from?.done ?? [];
  let resumed = from;
  for (;;) {
    const share = link.topology.nextShare(foreign.length > 0 ? unitedSlots(foreign, done) : done);
    if (share === undefined) return undefined;
    for await (const { keys, run, at } of scanShare(link, request, scanCount, share, resumed, signal)) {
      yield { keys, start: { run, at, ...(done.length > 0 && { done }) } };
    }
    resumed = undefined;
    done = unitedSlots(done, await link.slotsKept(share, signal));
  }
}

async function* scanShare(
  link: RedisLink,
  request: KeyRequest,
  scanCount: number,
  share: Share,
  from: ScanPosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<{ keys: Key[]; run: string; at: string }> {
  const except = request.except.map((key) => Buffer.from(key));
  const wholeServer = !link.clustered && request.slots === undefined;
  const ask = (at: string) => quietly(link.send("read", signal, scanCommand(request, scanCount, at), share.node));
  let run = await link.runId(share.node, signal);
  let at = from?.run === run ? from.at : ORIGIN;
  let asked = ask(at);
  for (;;) {
    const [next, found] = (await asked) as [Buffer, Buffer[]];
    const now = await link.runId(share.node, signal);
    if (now !== run) {
      run = now;
      at = ORIGIN;
      asked = ask(at);
      continue;
    }
    const after = next.toString();
    // The next page travels while this one is worked on.
    if (after !== ORIGIN) asked = ask(after);
    const listed = except.length === 0 ? found : found.filter((key) => !except.some((own) => own.equals(key)));
    const ours = wholeServer ? listed : listed.filter((key) => inRanges(share.slots, keySlot(key)));
    yield { keys: ours.map(toKey), run, at };
    if (after === ORIGIN) return;
    at = after;
  }
}

function scanCommand({ pattern, type }: KeyRequest, count: number, at: string): Command {
  const args: Command["args"] = [at];
  if (pattern !== undefined) args.push("MATCH", pattern);
  args.push("COUNT", count);
  if (type !== undefined) args.push("TYPE", type);
  return { name: "scan", args };
}

/** Whether a position that came from outside can be one. */
export function isScanPosition(json: JsonValue | undefined): boolean {
  const { run, at, done = ALL_SLOTS } = (json ?? {}) as { run?: unknown; at?: unknown; done?: unknown };
  return typeof run === "string" && typeof at === "string" && /^\d+$/.test(at) && Array.isArray(done);
}
