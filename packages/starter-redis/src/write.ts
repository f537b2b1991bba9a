import {
  isP2PError,
  P2PError,
  type P2PId,
  type P2PRecord,
  type WriteFailure,
  type WriteMode,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { Command } from "./client/command.ts";
import type { RedisLink } from "./client/link.ts";
import { type Key, keyText } from "./query/keys.ts";
import { setWords } from "./values/expiry.ts";
import type { RedisDocument } from "./values/raw-document.ts";
import { grouped } from "./writing/group.ts";
import { writeHashes } from "./writing/hash-script.ts";
import {
  documentRecord,
  type Parcel,
  packDocument,
  packRecord,
  type RedisTarget,
  refusal,
} from "./writing/packed-record.ts";
import { throwIfUnusable } from "./writing/unusable.ts";

/** A command, and the records that it carries. */
interface Consignment {
  readonly command: Command;
  readonly parcels: readonly Parcel[];
  /** What the reply says of each record: whether it was written, was there before, or failed. */
  readonly outcomes: (reply: unknown) => readonly Outcome[];
}

type Outcome = "written" | "there" | P2PError;

/** Writes the records as the mode says. */
export function writeRecords(
  target: RedisTarget,
  records: readonly P2PRecord[],
  options: WriteOptions,
): Promise<WriteResult> {
  return writeItems(target, records, packRecord, ({ id }) => id, options);
}

/** The same with documents. */
export function writeDocuments(
  target: RedisTarget,
  documents: readonly RedisDocument[],
  options: WriteOptions,
): Promise<WriteResult> {
  return writeItems(target, documents, packDocument, (document) => documentRecord(document, target).id, options);
}

async function writeItems<T>(
  target: RedisTarget,
  items: readonly T[],
  pack: (item: T, index: number, target: RedisTarget) => Parcel,
  idOf: (item: T) => P2PId,
  { mode, signal }: WriteOptions,
): Promise<WriteResult> {
  signal.throwIfAborted();
  const failures: WriteFailure[] = [];
  const parcels: Parcel[] = [];
  for (let index = 0; index < items.length; index++) {
    const item = items[index]!;
    try {
      parcels.push(pack(item, index, target));
    } catch (error) {
      failures.push({ index, id: idOf(item), error: refusal(error) });
    }
  }
  const consignments = consign(target, parcels, mode);
  const replies =
    consignments.length === 0
      ? []
      : await target.link.sendAll(
          "write",
          signal,
          consignments.map(({ command }) => command),
        );
  let [written, skipped, bytes] = [0, 0, 0];
  for (const [n, consignment] of consignments.entries()) {
    const reply = replies[n];
    const outcomes = isP2PError(reply) ? undefined : consignment.outcomes(reply);
    for (let i = 0; i < consignment.parcels.length; i++) {
      const parcel = consignment.parcels[i]!;
      const outcome = told(outcomes?.[i] ?? (reply as P2PError));
      if (outcome === "written") {
        written++;
        bytes += parcel.bytes;
      } else if (outcome === "there" && mode === "skip") skipped++;
      else {
        const error = outcome === "there" ? duplicate(parcel.key) : outcome;
        failures.push({ index: parcel.index, id: idOf(items[parcel.index]!), error });
      }
    }
  }
  if (written + skipped === 0) throwIfUnusable(failures);
  return { written, skipped, failures, bytes };
}

/** The commands that carry the records, in their order. */
function consign({ link, settings }: RedisTarget, parcels: readonly Parcel[], mode: WriteMode): Consignment[] {
  if (settings.format === "dump") return parcels.map((parcel) => restore(parcel, mode));
  if (settings.format === "hash") {
    // A script of a cluster may touch keys of one slot only.
    const groups = link.clustered ? parcels.map((parcel) => [parcel]) : grouped(parcels);
    return groups.map((group) => hashes(group, mode, link));
  }
  const plain = mode === "upsert" && !link.clustered && parcels.every(({ expiry }) => expiry === undefined);
  return plain ? grouped(parcels).map(setMany) : parcels.map((parcel) => setOne(parcel, mode));
}

function setMany(parcels: readonly Parcel[]): Consignment {
  const args: Command["args"] = [];
  for (const { key, content } of parcels) args.push(key, content as string);
  return { command: { name: "mset", args }, parcels, outcomes: () => parcels.map(() => "written") };
}

function setOne(parcel: Parcel, mode: WriteMode): Consignment {
  const args: Command["args"] = [parcel.key, parcel.content as string, ...setWords(parcel.expiry)];
  if (mode !== "upsert") args.push("NX");
  return {
    command: { name: "set", args },
    parcels: [parcel],
    outcomes: (reply) => [reply === null ? "there" : "written"],
  };
}

function hashes(parcels: readonly Parcel[], mode: WriteMode, link: RedisLink): Consignment {
  const entries = parcels.map(({ key, content, expiry }) => ({
    key,
    parts: content as readonly (string | Buffer)[],
    expiry,
  }));
  return {
    command: writeHashes(entries, mode),
    parcels,
    outcomes: (reply) =>
      (reply as (number | Buffer)[]).map((outcome) => {
        if (typeof outcome === "number") return outcome === 1 ? "written" : "there";
        return link.replyError(outcome, "write");
      }),
  };
}

function restore(parcel: Parcel, mode: WriteMode): Consignment {
  const { key, content, expiry } = parcel;
  const args: Command["args"] = [key, expiry?.ms ?? 0, content as Buffer];
  if (mode === "upsert") args.push("REPLACE");
  if (expiry?.kind === "at") args.push("ABSTTL");
  return { command: { name: "restore", args }, parcels: [parcel], outcomes: () => ["written"] };
}

function duplicate(key: Key): P2PError {
  return new P2PError("DUPLICATE_ID", `The key ${keyText(key)} is there already`);
}

/** RESTORE tells of a key that is there by an error. */
function told(outcome: Outcome): Outcome {
  return isP2PError(outcome, "DUPLICATE_ID") ? "there" : outcome;
}
