/** Manifests: the list of the parts of a dump, with counts and digests, by which a dump is known to be whole. */
import type { BigIntStats } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { messageOf, P2PError } from "@omni/p2p-core/starter";
import { compressionOfName } from "./compression.ts";
import { codeOf } from "./errors.ts";

/** A part of a dump. */
export interface ManifestPart {
  readonly name: string;
  readonly records: number;
  readonly bytes: number;
  /** Of its bytes as they are on disk, in hexadecimal. */
  readonly sha256: string;
}

/** What a manifest says. */
export interface Manifest {
  readonly version: 1;
  readonly records: number;
  readonly parts: readonly ManifestPart[];
}

const ENDING = ".manifest.json";

/** The names that belong to a dump. */
interface DumpNames {
  readonly manifest: string;
  part(number: number): string;
  /** Whether a file of the folder has the name of a part. */
  isPart(name: string): boolean;
}

/** Where a dump's parts and its manifest are, by the path of the dump: `dump.ndjson.gz` has `dump-00001.ndjson.gz`. */
export function dumpNames(path: string): DumpNames {
  const { bare } = compressionOfName(path);
  const ending = extname(bare) + path.slice(bare.length);
  const base = ending === "" ? path : path.slice(0, -ending.length);
  const part = (number: number) => `${base}-${String(number).padStart(5, "0")}${ending}`;
  const isPart = (name: string) => {
    const number = /-(\d{5,})$/.exec(name.slice(0, name.length - ending.length))?.[1];
    return number !== undefined && basename(part(Number(number))) === name;
  };
  return { manifest: `${base}${ENDING}`, part, isPart };
}

/** Whether a path is that of a manifest. */
export function isManifest(path: string): boolean {
  return path.toLowerCase().endsWith(ENDING);
}

/** The manifest at a path; `undefined` where there is no file. @throws P2PError `MANIFEST_MISMATCH` for one that is none. */
export async function readManifest(path: string): Promise<Manifest | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw mismatch(path, messageOf(error));
  }
  let found: Partial<Manifest> | null;
  try {
    found = JSON.parse(text) as Partial<Manifest> | null;
  } catch {
    throw mismatch(path, "it is no JSON");
  }
  if (typeof found?.version === "number" && found.version !== 1) {
    throw mismatch(path, `it has version ${found.version}, and this release reads version 1`);
  }
  const { version, parts } = found ?? {};
  if (version !== 1 || !Array.isArray(parts) || parts.length === 0 || !parts.every(isPart)) {
    throw mismatch(path, "it is no manifest of parts");
  }
  const records = parts.reduce((sum, part) => sum + part.records, 0);
  if (found!.records !== records) throw mismatch(path, "its counts do not add up");
  return { version, records, parts };
}

function isPart(value: unknown): value is ManifestPart {
  const { name, records, bytes, sha256 } = (value ?? {}) as Partial<ManifestPart>;
  // A part lies beside its manifest, and nowhere else.
  const isName = typeof name === "string" && name !== "" && basename(name) === name && name !== "." && name !== "..";
  return isName && isCount(records) && isCount(bytes) && typeof sha256 === "string" && /^[0-9a-f]{64}$/.test(sha256);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A part that is there. */
interface FoundPart {
  readonly part: ManifestPart;
  readonly path: string;
  readonly stats: BigIntStats;
}

/** The parts, which are all there and have their size. @throws P2PError `MANIFEST_MISMATCH` */
export async function partsOf(path: string, { parts }: Manifest): Promise<readonly FoundPart[]> {
  const found: FoundPart[] = [];
  for (const part of parts) {
    const { name, bytes } = part;
    const at = join(dirname(path), name);
    const stats = await stat(at, { bigint: true }).catch(() => undefined);
    if (stats === undefined) throw mismatch(path, `its part ${name} is not there`);
    if (stats.size !== BigInt(bytes))
      throw mismatch(path, `its part ${name} has ${stats.size} bytes instead of ${bytes}`);
    found.push({ part, path: at, stats });
  }
  return found;
}

/** The error of a dump that is not what its manifest says. */
export function mismatch(path: string, why: string): P2PError {
  return new P2PError(
    "MANIFEST_MISMATCH",
    `The dump of ${basename(path)} is not what its manifest says: ${why}. Fetch it again, or read its parts by a pattern without the manifest`,
  );
}
