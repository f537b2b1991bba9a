/** Errors of change streams, which mean something else there than in other reading. */
import { isP2PError, messageOf, P2PError } from "@omni/p2p-core/starter";
import { mongodbError } from "../client/errors.ts";
import type { OpenCollection } from "../query/open-collection.ts";

/** ChangeStreamHistoryLost: the oplog no longer reaches back to the position. */
const OUTRUN = 286;
/**
 * This, ChangeStreamFatalError, InvalidResumeToken and its older form, an event or a command that is larger
 * than an answer may be: reading on from this position will never do.
 */
const LOST: ReadonlySet<unknown> = new Set([OUTRUN, 280, 260, 40647, 10334]);
/** Only a replica set has change streams; an unrecognised stage, and a server that does not know the command. */
const NOT_HERE: ReadonlySet<unknown> = new Set([40573, 40324, 238]);
const UNAUTHORIZED = 13;

/** An error of the driver or the server, for who reads changes. */
export function streamError(error: unknown, { label, db, collection }: OpenCollection): P2PError {
  if (isP2PError(error)) return error;
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const reason = messageOf(error).replace(/[.\s]+$/, "");
  if (LOST.has(code)) {
    const longer = code === OUTRUN ? "; a larger oplog (replSetResizeOplog) keeps them for longer" : "";
    return new P2PError(
      "CHANGES_LOST",
      `The changes of ${label} since the last position can no longer be told (${String(code)}: ${reason}). A mirror makes up for them${longer}`,
      { cause: error },
    );
  }
  if (NOT_HERE.has(code)) {
    return new P2PError(
      "CHANGES_UNAVAILABLE",
      `${label} does not tell of its changes: ${reason}. Only a replica set does, and one server is enough for it: start mongod with --replSet rs0 (replication.replSetName in mongod.conf) and call rs.initiate() once`,
      { cause: error },
    );
  }
  if (code === UNAUTHORIZED) {
    const name = JSON.stringify(db.databaseName);
    return new P2PError(
      "CHANGES_UNAVAILABLE",
      `${label} does not let this user hear of changes: ${reason}. Grant the role read, for instance db.getSiblingDB(${name}).grantRolesToUser("<user>", [{ role: "read", db: ${name} }]), or a role with the actions find and changeStream on ${JSON.stringify(collection.collectionName)}`,
      { cause: error },
    );
  }
  return mongodbError(error, "read", label);
}
