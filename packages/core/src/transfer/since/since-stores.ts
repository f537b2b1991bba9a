/** Persistent identity across incremental runs: a watermark means nothing for a store that was dropped, emptied or replaced since. */
import { endpointLabel } from "../../storage/endpoint.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { Checkpoint, StoreMark } from "../checkpoint/checkpoint.ts";
import { persistentIdentity } from "../checkpoint/identity.ts";
import { replacement } from "../checkpoint/incarnation.ts";
import { keptWitnesses, Witnesses } from "../checkpoint/witnesses.ts";
import type { TransferEnd } from "../end.ts";
import type { RetryPolicy } from "../retry.ts";

type Stores = NonNullable<Checkpoint["stores"]>;

/** Witnesses that are kept of each store: all of them must be gone, since over many runs some are deleted one by one. */
const MOST_WITNESSES = 16;

/** The two stores of an incremental run. */
interface SinceEnds {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  readonly query: P2PQuery;
}

/**
 * In words which of the stores is not the one that earlier runs read or wrote; `undefined` where both are, as far as they tell.
 *
 * @param isLower whether the source's highest value is below the watermark. Records of a source change and are deleted, so that its
 * witnesses count only then.
 */
export async function replacedStore(
  { source, target, query }: SinceEnds,
  earlier: Stores,
  isLower: boolean,
  retry: RetryPolicy,
  signal: AbortSignal,
): Promise<string | undefined> {
  const emptied = async ({ service }: TransferEnd, asked: P2PQuery | undefined, { witnesses }: StoreMark) =>
    (await new Witnesses(service, asked, witnesses).emptied(signal, Number.POSITIVE_INFINITY)) !== undefined;
  const [from, to] = await Promise.all([
    persistentIdentity(source, retry, signal),
    persistentIdentity(target, retry, signal),
  ]);
  const named = (side: string, { endpoint }: TransferEnd, what: string) =>
    `The ${side} ${endpointLabel(endpoint)} ${what}`;
  const read = replacement(earlier.source, from);
  if (read) return named("source", source, read);
  const written = replacement(earlier.target, to);
  if (written) return named("target", target, written);
  if (isLower && !from.certain && !from.volatile && (await emptied(source, query, earlier.source)))
    return named("source", source, "no longer holds what was read from it");
  if (!to.certain && !to.volatile && (await emptied(target, undefined, earlier.target)))
    return named("target", target, "no longer holds what was written to it");
  return undefined;
}

/** What is known of the stores after one more run: the oldest witnesses, and the newest incarnation. */
export function storesAfter(earlier: Stores | undefined, run: Stores | undefined): Pick<Checkpoint, "stores"> {
  if (earlier === undefined && run === undefined) return {};
  const mark = (side: keyof Stores): StoreMark => {
    const incarnation = run?.[side].incarnation ?? earlier?.[side].incarnation;
    const witnesses = [...(earlier?.[side].witnesses ?? []), ...(run?.[side].witnesses ?? [])];
    return {
      ...(incarnation !== undefined && { incarnation }),
      ...keptWitnesses(witnesses.slice(0, MOST_WITNESSES)),
    };
  };
  return { stores: { source: mark("source"), target: mark("target") } };
}
