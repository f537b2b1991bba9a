import type { P2PRecord, P2PValue } from "@omni/p2p-core/starter";
import { isSingleObject, P2PError, TaggedValue } from "@omni/p2p-core/starter";

/**
 * The error of a record that an index with a synthetic `_source` would give back as another one: such an index keeps no
 * documents, and puts them together from what is indexed of them.
 *
 * @param sidecar whether the record has something that only the sidecar can say.
 */
export function syntheticError(record: P2PRecord, key: string, sidecar: boolean, label: string): P2PError | undefined {
  const lost = lostIn(record) ?? (sidecar ? "a value that the mapping has no field for" : undefined);
  if (lost === undefined) return undefined;
  const what = `The record ${JSON.stringify(key)} would not come back from ${label}, whose _source is synthetic: it has ${lost}`;
  return new P2PError(
    "TYPE_MISMATCH",
    `${what}; change it with a transform, or write to an index that keeps its _source`,
  );
}

/** What of a record is lost when it is put together from its index, in words. */
export function lostIn(record: P2PRecord): string | undefined {
  for (const name of Object.keys(record)) {
    const lost = lostOf(record[name], `"${name}"`);
    if (lost !== undefined) return lost;
  }
  return undefined;
}

function lostOf(value: P2PValue | undefined, path: string): string | undefined {
  if (value === null) return `null in ${path}, which is left out`;
  if (Array.isArray(value)) return `a list in ${path}, which loses its order and what it has twice`;
  if (typeof value !== "object") return undefined;
  if (isSingleObject(value) || value instanceof TaggedValue) return undefined;
  const names = Object.keys(value);
  if (names.length === 0) return `an empty object in ${path}, which is left out`;
  for (const name of names) {
    const lost = lostOf((value as Record<string, P2PValue>)[name], `${path}."${name}"`);
    if (lost !== undefined) return lost;
  }
  return undefined;
}
