import type { Link } from "../client/link.ts";

/** What the cluster's index templates say of an index that is to be made. */
export interface IndexTemplate {
  /** Whether they give it fields, or say what becomes of new ones. */
  readonly mapped: boolean;
  /** Whether they say how many shards it has. */
  readonly sharded: boolean;
  /** How many fields it may have, where they say so. */
  readonly fieldLimit: number | undefined;
}

interface TemplateJson {
  readonly settings?: {
    readonly index?: {
      readonly number_of_shards?: string;
      readonly mapping?: { readonly total_fields?: { readonly limit?: string } };
    };
  };
  readonly mappings?: Readonly<Record<string, unknown>>;
}

const REFUSED = [400, 403, 404, 405];

/** What the templates that match a name say; of those that one may not see, nothing. */
export async function templateFor(link: Link, index: string, signal: AbortSignal): Promise<IndexTemplate> {
  const simulation = {
    method: "POST",
    path: `/_index_template/_simulate_index/${encodeURIComponent(index)}`,
    accept: REFUSED,
  } as const;
  const simulated = await link.request(simulation, "write", signal);
  const { template } = simulated.status < 400 ? link.parse<{ template?: TemplateJson }>(simulated.text, "write") : {};
  // Templates of the older kind count only where none of the newer kind matches.
  return summaryOf(template === undefined ? await oldTemplates(link, index, signal) : [template]);
}

async function oldTemplates(link: Link, index: string, signal: AbortSignal): Promise<TemplateJson[]> {
  const query = { filter_path: "*.index_patterns,*.settings,*.mappings" };
  const answer = await link.request({ method: "GET", path: "/_template", query, accept: REFUSED }, "write", signal);
  if (answer.status >= 400) return [];
  const templates = link.parse<Record<string, TemplateJson & { index_patterns?: string[] }>>(answer.text, "write");
  return Object.values(templates).filter(({ index_patterns = [] }) =>
    index_patterns.some((pattern) => matchesPattern(index, pattern)),
  );
}

function matchesPattern(index: string, pattern: string): boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$+?.()|[\]{}]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s").test(index);
}

function summaryOf(templates: readonly TemplateJson[]): IndexTemplate {
  const settings = templates.map((template) => template.settings?.index ?? {});
  const limits = settings.map(({ mapping }) => Number(mapping?.total_fields?.limit)).filter((limit) => limit > 0);
  return {
    mapped: templates.some(({ mappings = {} }) => Object.keys(mappings).length > 0),
    sharded: settings.some(({ number_of_shards }) => number_of_shards !== undefined),
    fieldLimit: limits.length === 0 ? undefined : Math.min(...limits),
  };
}
