import { existsSync, readFileSync, writeFileSync } from "node:fs";
import {
  decodeJson,
  type EndpointInput,
  encodeJson,
  type P2PQuery,
  type P2PStarter,
  parseEndpoint,
} from "@omni/p2p-core";

/** Cuts a query into parts that are disjoint and together the whole: the starter of the source knows how. */
export async function partsOf(
  starter: P2PStarter,
  endpoint: EndpointInput,
  query: P2PQuery,
  parts: number,
): Promise<readonly P2PQuery[]> {
  const signal = AbortSignal.timeout(30_000);
  const source = await starter.open(parseEndpoint(endpoint), { role: "source", signal, connectTimeoutMs: 5000 });
  try {
    return await source.partitions(query, parts, signal);
  } finally {
    await source.close();
  }
}

/**
 * The parts of an earlier run, or new ones. A part can be resumed only when it is the same again, and a source that has
 * changed meanwhile would be cut in other places.
 */
export async function rememberedParts(
  file: string,
  cut: () => Promise<readonly P2PQuery[]>,
): Promise<readonly P2PQuery[]> {
  if (existsSync(file)) return decodeJson(readFileSync(file, "utf8")) as unknown as readonly P2PQuery[];
  const parts = await cut();
  // Queries may hold dates and bigints, which plain JSON does not keep.
  writeFileSync(file, encodeJson(parts as never));
  return parts;
}
