/** The proof of feeds: their servers, their trials, and the table of what was found. */
import { seededRandom } from "@omni/p2p-chaos/random";
import { Places, type ServerUrls } from "@omni/p2p-matrix/stores";
import { startService } from "@omni/p2p-test-services";
import type { Feed } from "./feeds.ts";
import { type Failure, failureOf, type Outcome } from "./outcome.ts";
import { follows, type Terms } from "./trial.ts";

/** What mongo-java-server has not, so that only a real replica set or cluster shows it. */
const REAL_MONGODB_ALONE = [
  "look-ups with afterClusterTime and read concern majority: it has no sessions and no cluster time",
  "an event of a large update, updates by operators: documents are replaced whole here",
  "a token that the oplog has outrun: 286 and 280 are answered by a fail point",
  "rename, dropDatabase and DDL events, wallTime, documentKey of a sharded collection",
  "a change of primary under an open stream",
];

/** The servers of a proof, each its own: slots, settings and connections of them are taken away. */
export class ProofServers implements AsyncDisposable {
  readonly places: Places;
  readonly #services: readonly { stop(): Promise<void> }[];

  private constructor(services: Awaited<ReturnType<typeof startService>>[]) {
    this.#services = services;
    this.places = new Places(Object.fromEntries(services.map(({ kind, url }) => [kind, url])) as ServerUrls);
  }

  static async start(): Promise<ProofServers> {
    return new ProofServers(
      await Promise.all([
        startService("redis", { exclusive: true }),
        startService("mongodb", { exclusive: true, changeStreams: "replica-set" }),
        startService("postgresql", { exclusive: true }),
      ]),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.places.dispose();
    await Promise.all(this.#services.map((service) => service.stop()));
  }
}

/** Follows one feed; what goes wrong is a row of the table like what does not. */
export async function trialOf(places: Places, feed: Feed, terms: Terms, seed: number): Promise<Outcome | Failure> {
  // Of its own, so that trials side by side do not decide about each other's.
  const random = seededRandom(seed + feed.source.length * 7919 + feed.source.charCodeAt(0));
  try {
    return await follows(places, feed, terms, random);
  } catch (error) {
    return failureOf(feed, error);
  }
}

/** Prints a row for each feed, what a stand-in leaves open, and the totals, which are the last line. */
export function printTable(rows: readonly (Outcome | Failure)[]): void {
  console.table(rows.filter((row) => !("failed" in row)));
  for (const row of rows) if ("failed" in row) console.log(`FAILED ${row.feed} -> ${row.targets}: ${row.failed}`);
  if (rows.some(({ feed }) => feed === "mongodb")) {
    for (const what of REAL_MONGODB_ALONE) console.log(`mongodb, left to a real one: ${what}`);
  }
  const failed = rows.filter((row) => "failed" in row).length;
  console.log(`${rows.length - failed} passed, ${failed} failed`);
}
