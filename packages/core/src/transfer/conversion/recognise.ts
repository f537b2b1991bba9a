/** Finds in texts the dates of SQLite and the JSON of Python, which other programs wrote there for want of a type. */
import type { Recognition } from "../../config.ts";
import type { P2PValue } from "../../model/value-tree.ts";
import { valueOfJson } from "./exact-json.ts";
import { instantOf } from "./instant.ts";

const CURRENT_TIMESTAMP = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

/** What the text says, or the text itself where that is nothing of the kind: then it was meant as text. */
export function recognised(text: string, kinds: ReadonlySet<Recognition>): P2PValue {
  if (kinds.has("dates") && text.length === 19 && CURRENT_TIMESTAMP.test(text)) {
    const instant = instantOf(text);
    return instant === undefined ? text : new Date(instant.ms);
  }
  if (!kinds.has("json") || !looksLikeJson(text)) return text;
  const found = valueOfJson(text);
  return "value" in found ? found.value : text;
}

/** Whether a text begins and ends as an object or a list does. */
function looksLikeJson(text: string): boolean {
  const trimmed = text.charCodeAt(0) <= 32 || text.charCodeAt(text.length - 1) <= 32 ? text.trim() : text;
  return (trimmed.startsWith("{") && trimmed.endsWith("}")) || (trimmed.startsWith("[") && trimmed.endsWith("]"));
}
