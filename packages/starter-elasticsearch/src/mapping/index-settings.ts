import type { Link } from "../client/link.ts";
import type { Phase } from "../client/verdicts.ts";

/** What the settings of an index say about its documents. */
export interface IndexSettings {
  /** Tells this index from another one of the same name, before or after it. */
  readonly uuid: string | undefined;
  /** Whether documents are put together from what is indexed of them. */
  readonly synthetic: boolean;
  /** Whether no documents are kept. */
  readonly sourceless: boolean;
  /** Whether vectors are kept apart from the documents, as Elasticsearch does from 9.2 on. */
  readonly vectorsApart: boolean;
  /** Whether changes of documents are not numbered. */
  readonly unnumbered: boolean;
  /** What a copy of the index needs for its mapping: limits, leniency and analyzers. */
  readonly copied: Readonly<Record<string, unknown>>;
}

interface SettingsJson {
  readonly uuid?: string;
  readonly mode?: string;
  readonly disable_sequence_numbers?: string;
  readonly analysis?: unknown;
  readonly mapping?: {
    readonly source?: { readonly mode?: string };
    readonly exclude_source_vectors?: string;
  };
  /** OpenSearch's name of a synthetic source. */
  readonly derived_source?: { readonly enabled?: string };
}

interface SettingsAnswer {
  readonly settings?: { readonly index?: SettingsJson };
  readonly defaults?: { readonly index?: SettingsJson };
}

const WANTED = [
  "uuid",
  "disable_sequence_numbers",
  "mapping.source",
  "mapping.exclude_source_vectors",
  "derived_source",
]
  .map((name) => `*.*.index.${name}`)
  .concat("*.settings.index.mapping", "*.settings.index.analysis")
  .join(",");

/** The settings of each index that a name stands for; of none where they cannot be had, for want of a privilege. */
export async function loadSettings(
  link: Link,
  index: string,
  phase: Phase,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, IndexSettings>> {
  const path = `/${encodeURIComponent(index)}/_settings`;
  const query = { include_defaults: "true", filter_path: WANTED };
  const answer = await link.request({ method: "GET", path, query, accept: [400, 403, 404] }, phase, signal);
  if (answer.status >= 400) return new Map();
  const indices = link.parse<Record<string, SettingsAnswer>>(answer.text, phase);
  return new Map(Object.entries(indices).map(([name, told]) => [name, settingsOf(told)]));
}

function settingsOf({ settings = {}, defaults = {} }: SettingsAnswer): IndexSettings {
  const of = (pick: (from: SettingsJson) => string | undefined): string | undefined =>
    pick(settings.index ?? {}) ?? pick(defaults.index ?? {});
  const { mapping: { source: _, ...mapping } = {}, analysis } = settings.index ?? {};
  const mode = of(({ mapping }) => mapping?.source?.mode)?.toLowerCase();
  return {
    uuid: of(({ uuid }) => uuid),
    synthetic: mode === "synthetic" || of(({ derived_source }) => derived_source?.enabled) === "true",
    sourceless: mode === "disabled",
    vectorsApart: of(({ mapping }) => mapping?.exclude_source_vectors) === "true",
    copied: {
      ...(Object.keys(mapping).length === 0 ? {} : { mapping }),
      ...(analysis === undefined ? {} : { analysis }),
    },
    unnumbered: of(({ disable_sequence_numbers }) => disable_sequence_numbers) === "true",
  };
}
