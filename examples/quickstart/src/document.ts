import type { P2PRecord } from "@omni/p2p-core";

/** Makes a document for search out of a row of the knowledge base: other names, other types, a nested part. */
export function toDocument(row: P2PRecord): P2PRecord {
  const { id, package: packageName, path, ordinal, level, heading, body, modified_ms: modified } = row;
  const text = String(body);
  return {
    id,
    type: "knowledge",
    title: heading === "" ? `${path} (beginning)` : heading!,
    text,
    words: text.split(/\s+/).filter((word) => word !== "").length,
    modified: new Date(Number(modified)),
    origin: { package: packageName!, path: path!, section: ordinal!, level: level! },
    hasCode: text.includes("```"),
  };
}
