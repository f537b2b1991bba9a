/** Certificates: the salted digests of two equal sides, against which one side can be held later. */
import { createHash } from "node:crypto";
import { P2PError } from "../../errors.ts";
import { base64, fromBase64 } from "../../model/base64.ts";
import { fromJson, toJson } from "../../model/json.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { coreVersion } from "../../storage/contract-checks.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { StoreIdentity } from "../../storage/service.ts";
import { identify, persistentIdentity } from "../checkpoint/identity.ts";
import type { TransferEnd } from "../end.ts";
import type { RetryPolicy } from "../retry.ts";
import { BucketDigests } from "./buckets.ts";
import { comparedText } from "./compared-text.ts";
import type { Fingerprint } from "./fingerprint.ts";

/** One end of a comparison, as its certificate has it. */
interface CertifiedEnd {
  /** Without its secrets. */
  readonly endpoint: string;
  /** What the store told of the thing behind it. */
  readonly identity: Omit<StoreIdentity, "things">;
}

/**
 * Says that two sides were equal, and what they held: plain JSON that can be kept in a file. It holds no ids and no values but those of
 * the query, and half a megabyte to one and a half of digests, whatever the number of records.
 *
 * It guards against accidents. Who knows the salt, which stands in it, can make other records with the same digests.
 */
export interface VerifyCertificate {
  readonly format: "omni-p2p-certificate";
  readonly version: 1;
  /** The version of this package. */
  readonly core: string;
  /** When the comparison began and ended, ISO 8601. */
  readonly startedAt: string;
  readonly endedAt: string;
  readonly source: CertifiedEnd;
  readonly target: CertifiedEnd;
  readonly query: JsonValue;
  /** What the target was asked for. */
  readonly targetQuery: JsonValue;
  /** Whether the source's records were compared as a transform or a schema makes them. */
  readonly transformed: boolean;
  /** Records on each side. */
  readonly records: number;
  /** The key of the hashes, 32 bytes in base64. */
  readonly salt: string;
  /** Three tables of 16,384 buckets in base64, each by other bits of the ids' hashes; see {@link BucketDigests.bytes}. */
  readonly digests: readonly string[];
  /**
   * The same of the target by its own form of records, where a store has several serialisations of one value; else those of the source
   * are those of the target.
   */
  readonly targetDigests?: readonly string[];
  /** SHA-256 of all of this, in hexadecimal digits: a torn or altered certificate is told by it. */
  readonly root: string;
}

/** Tables of buckets. An id that differs is in a differing bucket of each; another one is so by chance alone. */
const TABLES = 3;

/** The digests of a certificate while they are made. */
export class CertificateDigests {
  readonly tables: readonly BucketDigests[];

  constructor(tables: readonly BucketDigests[] = Array.from({ length: TABLES }, (_, at) => new BucketDigests(at))) {
    this.tables = tables;
  }

  add(print: Fingerprint): void {
    for (const table of this.tables) table.add(print);
  }

  addUnread(spread: Uint32Array): void {
    for (const table of this.tables) table.addUnread(spread);
  }

  /** The differing buckets, table by table. */
  unequalBuckets(other: CertificateDigests): readonly ReadonlySet<number>[] {
    return this.tables.map((table, at) => table.unequalBuckets(other.tables[at]!));
  }
}

/** What a comparison knows when it has found both sides equal. */
interface Findings {
  readonly source: TransferEnd;
  readonly target: TransferEnd;
  readonly query: P2PQuery;
  readonly targetQuery: P2PQuery;
  readonly transformed: boolean;
  readonly records: number;
  readonly salt: string;
  readonly digests: CertificateDigests;
  /** Of the target, where they are others. */
  readonly targetDigests: CertificateDigests | undefined;
  readonly startedAt: Date;
  readonly retry: RetryPolicy;
  readonly signal: AbortSignal;
}

/** Makes the certificate of a comparison. */
export async function certificateOf(found: Findings): Promise<VerifyCertificate> {
  const { query, targetQuery, transformed, records, salt, digests, targetDigests, startedAt, retry, signal } = found;
  const end = async ({ service, endpoint }: TransferEnd): Promise<CertifiedEnd> => {
    // What it is made of is in its thing.
    const { things: _, ...identity } = await persistentIdentity({ service }, retry, signal);
    return { endpoint: identify(endpoint), identity };
  };
  const certificate = {
    format: "omni-p2p-certificate",
    version: 1,
    core: coreVersion() ?? "unknown",
    startedAt: startedAt.toISOString(),
    endedAt: new Date().toISOString(),
    source: await end(found.source),
    target: await end(found.target),
    query: toJson(query as unknown as P2PValue),
    targetQuery: toJson(targetQuery as unknown as P2PValue),
    ...{ transformed, records, salt },
    digests: textsOf(digests),
    ...(targetDigests && { targetDigests: textsOf(targetDigests) }),
  } as const;
  return { ...certificate, root: rootOf(certificate) };
}

function textsOf({ tables }: CertificateDigests): string[] {
  return tables.map((table) => base64(table.bytes()));
}

/** Over all that it says, in a fixed order of its own: where it was kept, the fields of an object may have come into another. */
function rootOf(certificate: Omit<VerifyCertificate, "root">): string {
  const { format, version, core, startedAt, endedAt, source, target } = certificate;
  const { query, targetQuery, transformed, records, salt, digests, targetDigests } = certificate;
  const ends = [source, target].map(({ endpoint, identity }) => [endpoint, ...identityParts(identity)]);
  const all = [
    format,
    version,
    core,
    startedAt,
    endedAt,
    ends,
    comparedText(fromJson(query)),
    comparedText(fromJson(targetQuery)),
    transformed,
    records,
    salt,
    digests,
    targetDigests ?? null,
  ];
  return createHash("sha256").update(JSON.stringify(all)).digest("hex");
}

function identityParts({ thing, incarnation, certain, volatile }: CertifiedEnd["identity"]) {
  return [thing ?? null, incarnation ?? null, certain ?? null, volatile ?? null];
}

/** A certificate that was read back. */
export interface ReadCertificate extends VerifyCertificate {
  readonly parsedQuery: P2PQuery;
  readonly parsedTargetQuery: P2PQuery;
  /** Of each side, by its own form of records. */
  readonly parsedDigests: { readonly source: CertificateDigests; readonly target: CertificateDigests };
}

/**
 * Checks what is said to be a certificate.
 *
 * @throws P2PError `CERTIFICATE_INVALID` for something else, another version, or one that is torn or altered.
 */
export function readCertificate(given: unknown): ReadCertificate {
  const certificate = given as VerifyCertificate;
  if (typeof given !== "object" || given === null || certificate.format !== "omni-p2p-certificate") {
    throw invalid("it is no certificate of a comparison");
  }
  if (certificate.version !== 1) {
    throw invalid(
      `it is of version ${String(certificate.version).slice(0, 20)}, and this package reads version 1; upgrade it`,
    );
  }
  try {
    if (rootOf(certificate) !== certificate.root) throw new Error("its root is another");
    const source = digestsOf(certificate.digests);
    const target = certificate.targetDigests ? digestsOf(certificate.targetDigests) : source;
    if (!Number.isSafeInteger(certificate.records) || certificate.records < 0) throw new Error("records is no number");
    return {
      ...certificate,
      parsedQuery: fromJson(certificate.query) as unknown as P2PQuery,
      parsedTargetQuery: fromJson(certificate.targetQuery) as unknown as P2PQuery,
      parsedDigests: { source, target },
    };
  } catch (cause) {
    throw invalid("it is torn, or was altered", cause);
  }
}

function digestsOf(texts: readonly string[]): CertificateDigests {
  const tables = texts.map((text, at) => BucketDigests.fromBytes(fromBase64(text), at));
  if (tables.length !== TABLES) throw new Error("tables are missing");
  return new CertificateDigests(tables);
}

function invalid(why: string, cause?: unknown): P2PError {
  return new P2PError("CERTIFICATE_INVALID", `The certificate cannot be used: ${why}`, { cause });
}
