/** Leases in MongoDB: a collection of its own beside the target's, by the server's clock where it tells the time. */
import { type LeaseKeeper, unlessAborted } from "@omni/p2p-core/starter";
import type { Collection } from "mongodb";
import { type CollectionHandle, LEASES } from "./collections.ts";
import { isDuplicateKey, mongodbError } from "./errors.ts";

interface Lease {
  readonly _id: string;
  readonly run: string;
  readonly owner: string;
  readonly holder: string;
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
    take: ({ name, run, owner, holder, ttlMs, renew }, signal) =>
      answered(signal, async () => {
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
            const expiresInMs = there.until.getTime() - now;
            // One that has been taken over or has ended in between is asked for again.
            const isOther = there.run !== run && (renew || there.owner !== owner) && expiresInMs > 0;
            if (isOther || tries >= MOST_TRIES) return { held: false, holder: there.holder, expiresInMs };
            continue;
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
