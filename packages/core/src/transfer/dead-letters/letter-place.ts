/** Keeps dead letters out of the files that the transfer works on. */
import { type BigIntStats, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { P2PError } from "../../errors.ts";
import { type EndpointInfo, endpointLabel } from "../../storage/endpoint.ts";

/** What SQLite keeps beside its file. */
const NEIGHBOURS = ["", "-wal", "-shm", "-journal"];

/**
 * Makes sure that dead letters do not go into a file that the transfer itself lives on: its source, its target, the
 * letters it replays, or its checkpoint. Files are told apart by what they are, not by their names, so that links of
 * both kinds are seen through.
 *
 * @throws P2PError `INVALID_CONFIG`
 */
export function assertPlaceForLetters(
  ends: readonly EndpointInfo[],
  deadLetters: string | undefined,
  stateFolder?: string,
): void {
  // The location of a sink that is no file is not the name of one.
  if (deadLetters === undefined || !isAbsolute(deadLetters)) return;
  for (const endpoint of ends) {
    if (endpoint.host !== undefined || !endpoint.database || endpoint.storageType === "memory") continue;
    const file = resolve(endpoint.database);
    for (const ending of NEIGHBOURS) {
      if (isSameFile(file + ending, deadLetters)) throw taken(deadLetters, endpoint, ending);
    }
  }
  if (stateFolder !== undefined && /\.checkpoint\.json(?:\.lock)?$/.test(deadLetters)) {
    if (realPlace(stateFolder) === realPlace(dirname(deadLetters)))
      throw invalid(deadLetters, "checkpoints are kept under such names there");
  }
}

function taken(deadLetters: string, endpoint: EndpointInfo, ending: string): P2PError {
  if (endpoint.storageType === "dead-letters") return invalid(deadLetters, "the replay reads it");
  const what = ending === "" ? "it is" : "it is kept beside the file of";
  return invalid(deadLetters, `${what} ${endpointLabel(endpoint)}, which the transfer works on`);
}

function invalid(deadLetters: string, why: string): P2PError {
  return new P2PError(
    "INVALID_CONFIG",
    `Invalid configuration: dead letters cannot go into ${deadLetters}: ${why}; give another deadLetters file`,
  );
}

/** Whether two names are of one file, or would be if it were made. */
function isSameFile(a: string, b: string): boolean {
  const [one, other] = [identityOf(a), identityOf(b)];
  if (one && other) return one.dev === other.dev && one.ino === other.ino;
  return !one && !other && realPlace(a) === realPlace(b);
}

function identityOf(file: string): BigIntStats | undefined {
  try {
    return statSync(file, { bigint: true });
  } catch {
    return undefined;
  }
}

/** The name behind all links, of what is not there yet too. */
function realPlace(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    const above = dirname(file);
    return above === file ? file : join(realPlace(above), basename(file));
  }
}
