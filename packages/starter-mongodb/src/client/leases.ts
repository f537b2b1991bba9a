/** Leases in MongoDB: a collection of its own beside the target's, by the server's clock where it tells the time. */
import { type KeptLease, type LeaseKeeper, leaseRefusal, P2PError, unlessAborted } from "@omni/p2p-core/starter";
import type { Collection } from "mongodb";
import { type CollectionHandle, LEASES } from "./collections.ts";
import { isDuplicateKey, mongodbError } from "./errors.ts";

interface Lease extends Omit<KeptLease, "until"> {
  readonly _id: string;
  readonly until: Date;
}

const MOST_TRIES = 5;

export function mongodbLeases({ db, collection, dialect, label }: CollectionHandle): LeaseKeeper {
  const concern = dialect.complete ? ({ writeConcern: { w: "majority" } } as const) : {};
  const leases: Collection<Lease> = db.collection(LEASES);
  const placed = (name: string) => `${name} ${collection.collectionName}`;
  const answered = async <T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> => {
    try {
      return await ask();
    } catch (error) {
      signal.throwIfAborted();
      throw mongodbError(error, "write", label);
    }
  };
  const timeOfServer = async (signal: AbortSignal): Promise<number> => {
    const { localTime } = await db.command({ hello: 1 }, { signal });
    return localTime instanceof Date ? localTime.getTime() : Date.now();
  };
  return {
    take: (request, signal) =>
      answered(signal, async () => {
        const { name, run, owner, holder, ttlMs, renew } = request;
        const _id = placed(name);
        for (let tries = 1; ; tries++) {
          const now = await timeOfServer(signal);
          const lease = { run, owner, holder, until: new Date(now + ttlMs) };
          const free = [{ until: { $lte: new Date(now) } }, { run }, ...(renew ? [] : [{ owner }])];
          const { matchedCount } = await unlessAborted(
            leases.updateOne({ _id, $or: free }, { $set: lease }, concern),
            signal,
          );
          if (matchedCount > 0) return { held: true };
          const there = await leases.findOne({ _id }, { signal });
          if (there) {
            const refusal = leaseRefusal({ ...there, until: there.until.getTime() }, request, now);
            if (refusal) return refusal;
            // One that has been taken over or has ended in between is asked for again.
            if (tries < MOST_TRIES) continue;
            throw new P2PError("BUSY", `${label}: the lease is taken and let go all the time`, { retryable: true });
          }
          try {
            await unlessAborted(leases.insertOne({ _id, ...lease }, concern), signal);
            return { held: true };
          } catch (error) {
            if (tries >= MOST_TRIES || !isDuplicateKey((error as { code?: unknown }).code)) throw error;
          }
        }
      }),
    release: ({ name, run }, signal) =>
      answered(
        signal,
        async () => void (await unlessAborted(leases.deleteOne({ _id: placed(name), run }, concern), signal)),
      ),
  };
}
