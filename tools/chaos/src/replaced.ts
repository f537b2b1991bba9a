import { isP2PError, type P2PError, type TransferOptions, type TransferResult, type Transform } from "@omni/p2p-core";
import { type Places, STORES, type Store } from "@omni/p2p-matrix/stores";
import { countRecords, fill, newManager } from "./data.ts";
import { type Loss, loseRecords } from "./empty-store.ts";
import { check, type Report } from "./report.ts";

const RECORDS = 3000;
/** The record at which the disturbance comes. */
const MIDDLE = 1500;

/**
 * Replaces the source and takes the target's records away, between an interrupted run and its resume and in the middle of a run,
 * for every store. No such transfer may say that it is complete over records that are not there.
 */
export async function replaceStores(report: Report, places: Places, meant: (store: Store) => boolean): Promise<void> {
  for (const store of STORES) {
    if (!meant(store)) continue;
    for (const loss of lossesOf(store)) {
      await report.run(`${store} source ${loss} and refilled between two runs`, () =>
        betweenRuns(places, store, "source", loss),
      );
      await report.run(`${store} target ${loss} between two runs`, () => betweenRuns(places, store, "target", loss));
      await report.run(`${store} target ${loss} during a run`, () => duringRun(places, store, loss));
    }
  }
}

/** Redis has nothing to drop but its keys. */
function lossesOf(store: Store): readonly Loss[] {
  return store === "redis" ? ["emptied"] : ["dropped", "emptied"];
}

async function betweenRuns(places: Places, store: Store, side: "source" | "target", loss: Loss): Promise<string> {
  const [source, target] = await ends(places, store, side);
  const options: TransferOptions = { transferId: `replaced-${store}-${side}-${loss}`, checkpoint: places.folder };
  const first = await transfer(source, target, {
    ...options,
    transform: at(MIDDLE, () => Promise.reject(new Stopped())),
  });
  check(first instanceof Error, "the first run was not interrupted");
  await loseRecords(store, side === "source" ? source : target, loss);
  // The same ids, as a nightly export has them, and other values.
  if (side === "source") await fill(source, RECORDS, "made anew");
  const second = await transfer(source, target, { ...options, transform: unchanged, resume: true });
  check(
    isP2PError(second, "CHECKPOINT_MISMATCH") || isP2PError(second, "SOURCE_NOT_FOUND"),
    `it was resumed: ${described(second)}`,
  );
  const third = await transfer(source, target, { ...options, transform: unchanged });
  check(!(third instanceof Error) && third.successCount === RECORDS, `started anew, it ended with ${described(third)}`);
  return `${described(second)}; started anew, complete`;
}

async function duringRun(places: Places, store: Store, loss: Loss): Promise<string> {
  const [source, target] = await ends(places, store, "target");
  const outcome = await transfer(source, target, {
    transform: at(MIDDLE, () => loseRecords(store, target, loss)),
    maxFailures: "all",
  });
  check(outcome instanceof Error, `it said that it was complete: ${described(outcome)}`);
  // A file that is gone is noticed by the next write already.
  const told = isP2PError(outcome, "STORE_CHANGED") || isP2PError(outcome, "CONNECTION_LOST");
  check(told, `it ended with another reason: ${described(outcome)}`);
  const again = await transfer(source, target, {});
  check(!(again instanceof Error), `started anew, it ended with ${described(again)}`);
  check((await countRecords(target)) === RECORDS, "started anew, records were missing");
  return `${described(outcome)}; started anew, complete`;
}

/** The store on one side, filled where it is the source, and a store of another kind on the other. */
async function ends(places: Places, store: Store, side: "source" | "target"): Promise<[string, string]> {
  const other = places.fresh(store === "sqlite" ? "memory" : "sqlite");
  const own = places.fresh(store);
  const [source, target] = side === "source" ? [own, other] : [other, own];
  await fill(source, RECORDS);
  return [source, target];
}

class Stopped extends Error {}

const unchanged: Transform = (record) => record;

/** Does something once, when the record with this number comes by. */
function at(number: number, disturb: () => Promise<unknown>): Transform {
  let done = false;
  return async (record) => {
    if (record.number === number && !done) {
      done = true;
      await disturb();
    }
    return record;
  };
}

async function transfer(source: string, target: string, options: TransferOptions): Promise<TransferResult | P2PError> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(source, target);
    return await manager.transferThroughConnection(
      connectionId,
      {},
      { batchSize: 100, deadLetters: false, transformVersion: "1", maxFailures: "none", ...options },
    );
  } catch (error) {
    return error as P2PError;
  } finally {
    await manager.close();
  }
}

function described(outcome: TransferResult | P2PError): string {
  return outcome instanceof Error
    ? `${outcome.code ?? outcome.name}${outcome.code === "STORE_CHANGED" || outcome.code === "CHECKPOINT_MISMATCH" ? "" : `: ${outcome.message}`}`
    : `${outcome.successCount} records written`;
}
