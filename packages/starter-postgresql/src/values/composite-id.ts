/** Ids of composite keys: the JSON text of the list of their values. */
import { decodeJson, type P2PValue } from "@omni/p2p-core/starter";

/** The key values that the id of a composite key stands for; `undefined` when the text is none. */
export function parseCompositeId(text: string): readonly P2PValue[] | undefined {
  if (text[0] !== "[") return undefined;
  try {
    const parts = decodeJson(text);
    return Array.isArray(parts) ? (parts as readonly P2PValue[]) : undefined;
  } catch {
    return undefined;
  }
}
