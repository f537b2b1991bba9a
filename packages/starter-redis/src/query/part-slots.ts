import { foreignPartition, type ParsedQuery, partitionBounds } from "@omni/p2p-core/starter";
import { SLOT_COUNT, type SlotRange } from "../client/slots.ts";
import { STORE } from "../types.ts";

/**
 * The hash slots that a part of a query is about; `undefined` for a query that is whole.
 *
 * @throws P2PError `INVALID_QUERY` for a part that another store made
 */
export function slotsOfPart(partition: ParsedQuery["partition"]): SlotRange | undefined {
  const bounds = partitionBounds(STORE, partition, ["slots"]);
  if (bounds === undefined) return undefined;
  const { slots } = bounds;
  const valid = Array.isArray(slots) && slots.length === 2 && slots.every((slot) => isSlot(slot));
  if (!valid) throw foreignPartition(STORE);
  return slots as unknown as SlotRange;
}

function isSlot(slot: unknown): boolean {
  return Number.isInteger(slot) && (slot as number) >= 0 && (slot as number) < SLOT_COUNT;
}
