import {
  isP2PError,
  P2PError,
  type P2PId,
  type WriteFailure,
  type WriteMode,
  type WriteOptions,
  type WriteResult,
} from "@omni/p2p-core/starter";
import type { Command } from "../client/command.ts";
import { type Key, keyText } from "../client/keys.ts";
import type { Keyspace } from "../client/keyspace.ts";
import type { RedisLink } from "../client/link.ts";
import { setWords } from "../values/expiry.ts";
import { grouped } from "./command-groups.ts";
import { type PackedRecord, refusal } from "./packed-record.ts";
import { throwIfUnusable } from "./unusable-store.ts";
import { writeHashes } from "./write-hashes.ts";

/** A command, and the records that it carries. */
interface WriteCommand {
  readonly command: Command;
  readonly records: readonly PackedRecord[];
  /** What the reply says of each record: whether it was written, was there before, or failed. */
  readonly outcomes: (reply: unknown) => readonly Outcome[];
}

type Outcome = "written" | "there" | P2PError;

/** Packs things, sends them in commands, and tells what became of each. */
export async function writeItems<T>(
  target: Keyspace,
  items: readonly T[],
  pack: (item: T, index: number, target: Keyspace) => PackedRecord,
  idOf: (item: T) => P2PId,
  { mode, signal }: WriteOptions,
): Promise<WriteResult> {
  signal.throwIfAborted();
  const failures: WriteFailure[] = [];
  const records: PackedRecord[] = [];
  for (let index = 0; index < items.length; index++) {
    const item = items[index]!;
    try {
      records.push(pack(item, index, target));
    } catch (error) {
      failures.push({ index, id: idOf(item), error: refusal(error) });
    }
  }
  const commands = commandsFor(target, records, mode);
  const replies =
    commands.length === 0
      ? []
      : await target.link.sendAll(
          "write",
          signal,
          commands.map(({ command }) => command),
        );
  let [written, skipped, bytes] = [0, 0, 0];
  for (const [n, writing] of commands.entries()) {
    const reply = replies[n];
    const outcomes = isP2PError(reply) ? undefined : writing.outcomes(reply);
    for (let i = 0; i < writing.records.length; i++) {
      const record = writing.records[i]!;
      const outcome = told(outcomes?.[i] ?? (reply as P2PError));
      if (outcome === "written") {
        written++;
        bytes += record.bytes;
      } else if (outcome === "there" && mode === "skip") skipped++;
      else {
        const error = outcome === "there" ? duplicate(record.key) : outcome;
        failures.push({ index: record.index, id: idOf(items[record.index]!), error });
      }
    }
  }
  if (written + skipped === 0) throwIfUnusable(failures);
  return { written, skipped, failures, bytes };
}

/** The commands that carry the records, in their order. */
function commandsFor({ link, settings }: Keyspace, records: readonly PackedRecord[], mode: WriteMode): WriteCommand[] {
  if (settings.format === "dump") return records.map((record) => restore(record, mode));
  if (settings.format === "hash") {
    // A script of a cluster may touch keys of one slot only.
    const groups = link.clustered ? records.map((record) => [record]) : grouped(records);
    return groups.map((group) => hashes(group, mode, link));
  }
  const plain = mode === "upsert" && !link.clustered && records.every(({ expiry }) => expiry === undefined);
  return plain ? grouped(records).map(setMany) : records.map((record) => setOne(record, mode));
}

function setMany(records: readonly PackedRecord[]): WriteCommand {
  const args: Command["args"] = [];
  for (const { key, content } of records) args.push(key, content as string);
  return { command: { name: "mset", args }, records, outcomes: () => records.map(() => "written") };
}

function setOne(record: PackedRecord, mode: WriteMode): WriteCommand {
  const args: Command["args"] = [record.key, record.content as string, ...setWords(record.expiry)];
  if (mode !== "upsert") args.push("NX");
  return {
    command: { name: "set", args },
    records: [record],
    outcomes: (reply) => [reply === null ? "there" : "written"],
  };
}

function hashes(records: readonly PackedRecord[], mode: WriteMode, link: RedisLink): WriteCommand {
  const entries = records.map(({ key, content, expiry }) => ({
    key,
    parts: content as readonly (string | Buffer)[],
    expiry,
  }));
  return {
    command: writeHashes(entries, mode),
    records,
    outcomes: (reply) =>
      (reply as (number | Buffer)[]).map((outcome) => {
        if (typeof outcome === "number") return outcome === 1 ? "written" : "there";
        return link.replyError(outcome, "write");
      }),
  };
}

function restore(record: PackedRecord, mode: WriteMode): WriteCommand {
  const { key, content, expiry } = record;
  const args: Command["args"] = [key, expiry?.ms ?? 0, content as Buffer];
  if (mode === "upsert") args.push("REPLACE");
  if (expiry?.kind === "at") args.push("ABSTTL");
  return { command: { name: "restore", args }, records: [record], outcomes: () => ["written"] };
}

function duplicate(key: Key): P2PError {
  return new P2PError("DUPLICATE_ID", `The key ${keyText(key)} is there already`);
}

/** RESTORE tells of a key that is there by an error. */
function told(outcome: Outcome): Outcome {
  return isP2PError(outcome, "DUPLICATE_ID") ? "there" : outcome;
}
