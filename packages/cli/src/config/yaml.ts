import { isAlias, isMap, isScalar, LineCounter, parseDocument, visit } from "yaml";

/**
 * Most anchors and aliases in a config file. To find the anchor of an alias all those before it are gone through, so that
 * their number decides how long it takes.
 */
const MAX_ALIASES = 1000;

/** A mistake in a YAML text, by its place: the text itself may be a secret. */
export interface YamlTrouble {
  readonly code: string;
  readonly linePos: readonly { readonly line: number; readonly col: number }[];
}

/**
 * Parses a YAML text, with merge keys.
 *
 * @throws YamlTrouble where the text is not right.
 */
export function parseYaml(text: string): unknown {
  const lineCounter = new LineCounter();
  // The library compares each key with all before it, which are looked up here, and shows the line of each error, which is not.
  const document = parseDocument(text, {
    merge: true,
    logLevel: "error",
    uniqueKeys: false,
    prettyErrors: false,
    lineCounter,
  });
  const [error] = document.errors;
  const trouble = (code: string, offset: number): YamlTrouble => ({ code, linePos: [lineCounter.linePos(offset)] });
  if (error) throw trouble(error.code, error.pos[0]);
  let aliases = 0;
  visit(document, {
    Node(_, node) {
      if ((isAlias(node) || node.anchor !== undefined) && ++aliases > MAX_ALIASES) {
        throw trouble("TOO_MANY_ALIASES", node.range?.[0] ?? 0);
      }
      if (!isMap(node)) return;
      const keys = new Set<unknown>();
      for (const { key } of node.items) {
        if (!isScalar(key)) continue;
        if (keys.has(key.value)) throw trouble("DUPLICATE_KEY", key.range?.[0] ?? 0);
        keys.add(key.value);
      }
    },
  });
  return document.toJS();
}
