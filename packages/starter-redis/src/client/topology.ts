import { P2PError } from "@omni/p2p-core/starter";
import type { Cluster, Redis } from "ioredis";
import { ALL_SLOTS, inRanges, otherSlots, rangesWhere, type SlotRange } from "./slots.ts";

/** A server, and the slots that are to be read from it. */
export interface Share {
  readonly node: Redis;
  readonly slots: readonly SlotRange[];
}

/** Which servers there are, and which keys each has. */
export interface Topology {
  /** Those that can be written. */
  masters(): readonly Redis[];
  /** The next server to read and its slots, passing over the slots that are done; `undefined` when all are. */
  nextShare(done: readonly SlotRange[]): Share | undefined;
  /** Those slots of a share that its server has still, so that all of their keys have been seen in a scan of it. */
  slotsKept(share: Share): Promise<readonly SlotRange[]>;
  /** Asks anew which servers there are. */
  refresh(): Promise<void>;
}

/** One server has all keys. */
export function singleTopology(node: Redis): Topology {
  return {
    masters: () => [node],
    nextShare(done) {
      const slots = done.length === 0 ? ALL_SLOTS : otherSlots(done);
      return slots.length > 0 ? { node, slots } : undefined;
    },
    slotsKept: async ({ slots }) => slots,
    refresh: async () => {},
  };
}

/** Each server has the slots that the cluster says, for the time being. */
export function clusterTopology(cluster: Cluster): Topology {
  const ownerOf = (slot: number) => cluster.slots[slot]?.[0];
  const nameOf = ({ options }: Redis) => `${options.host}:${options.port}`;
  const refresh = () =>
    new Promise<void>((resolve, reject) => {
      cluster.refreshSlotsCache((error) => (error ? reject(error) : resolve()));
    });
  const ownSlots = (owner: string, slots: readonly SlotRange[]) =>
    rangesWhere((slot) => ownerOf(slot) === owner && inRanges(slots, slot));
  return {
    masters: () => cluster.nodes("master"),
    nextShare(done) {
      const slots = otherSlots(done);
      const first = slots[0]?.[0];
      if (first === undefined) return undefined;
      const owner = ownerOf(first);
      const node = cluster.nodes("master").find((master) => nameOf(master) === owner);
      if (owner === undefined || node === undefined) {
        throw new P2PError("BUSY", `No node of the Redis Cluster serves slot ${first}; see CLUSTER INFO`, {
          retryable: true,
        });
      }
      return { node, slots: ownSlots(owner, slots) };
    },
    async slotsKept({ node, slots }) {
      await refresh();
      return ownSlots(nameOf(node), slots);
    },
    refresh,
  };
}
