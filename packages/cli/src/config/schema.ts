import * as v from "valibot";

const text = v.pipe(v.string(), v.nonEmpty("it must not be empty"));
const whole = v.pipe(v.number(), v.safeInteger("it must be a whole number"), v.minValue(0, "it must be 0 or more"));
const time = v.union([text, whole], 'it must be a time such as "30s" or "10m"');
const settings = v.record(v.string(), v.unknown());

const endpoint = v.union([text, settings], "it must be a name, a URL or an object");
const transform = v.union(
  [text, v.custom((value) => typeof value === "function")],
  "it must be a function or a module's path",
);

const query = v.strictObject({
  type: v.optional(v.string()),
  where: v.optional(v.union([v.array(v.string()), settings], "it must be an object or a list of conditions")),
  fields: v.optional(v.array(v.string())),
  orderBy: v.optional(v.unknown()),
  offset: v.optional(whole),
  limit: v.optional(whole),
  native: v.optional(settings),
});

const transfer = v.strictObject({
  name: v.optional(text),
  source: endpoint,
  target: endpoint,
  mode: v.optional(v.picklist(["copy", "mirror", "follow"], 'it must be "copy", "mirror" or "follow"')),
  query: v.optional(query),
  config: v.optional(settings),
  transform: v.optional(transform),
  transformVersion: v.optional(text),
  transferId: v.optional(text),
  since: v.optional(
    v.union(
      [
        text,
        v.strictObject({
          field: text,
          overlap: v.optional(time),
          nulls: v.optional(v.picklist(["note", "fail"], 'it must be "note" or "fail"')),
        }),
      ],
      "it must be a field, or { field, overlap, nulls }",
    ),
  ),
  deadLetters: v.optional(v.union([text, v.literal(false)], "it must be a file, an endpoint's URL or false")),
  verify: v.optional(v.boolean()),
  collections: v.optional(v.union([v.literal("all"), v.array(text)], 'it must be "all" or a list of patterns')),
  exclude: v.optional(v.array(text)),
  rename: v.optional(v.array(text)),
  jobs: v.optional(whole),
  deletes: v.optional(v.picklist(["remove", "keep"], 'it must be "remove" or "keep"')),
  maxDeletes: v.optional(
    v.union([v.string(), v.number()], 'it must be a number, a share such as "5%", "none" or "all"'),
  ),
  allowEmptySource: v.optional(v.boolean()),
  targetQuery: v.optional(query),
  every: v.optional(time),
  reconcileEvery: v.optional(time),
  lease: v.optional(v.picklist(["auto", "target", "state"], 'it must be "auto", "target" or "state"')),
});

const config = v.strictObject({
  endpoints: v.optional(v.record(v.string(), endpoint)),
  defaults: v.optional(settings),
  transfers: v.optional(v.array(transfer)),
});

/** Something in a config file that is not right. */
export interface Mistake {
  readonly path: readonly (string | number)[];
  readonly kind: "unknown" | "missing" | "wrong";
  readonly message: string;
}

/** What is not right in the form of a config file; the core checks settings, queries and endpoints in depth. */
export function mistakesIn(content: unknown): Mistake[] {
  if (Array.isArray(content)) {
    return [
      { path: [], kind: "wrong", message: "it is a list; endpoints, defaults and transfers are what it may have" },
    ];
  }
  const { issues = [] } = v.safeParse(config, content);
  return issues.map((issue) => ({
    path: (issue.path ?? []).map(({ key }) => key as string | number),
    kind: issue.expected === "never" ? "unknown" : isMissing(issue) ? "missing" : "wrong",
    message: messageOf(issue),
  }));
}

/** Messages of Valibot's own quote what was found, which may be a secret; ours begin with "it must". */
function messageOf({ message, expected, input }: v.BaseIssue<unknown>): string {
  if (message.startsWith("it ")) return message;
  const found = Array.isArray(input) ? "a list" : input === null ? "null" : `of type ${typeof input}`;
  return `expected ${expected ?? "something else"}, and it is ${found}`;
}

/** A key that is not there is told of the object that should have it. */
function isMissing(issue: v.BaseIssue<unknown>): boolean {
  return issue.type === "strict_object" && issue.received === "undefined" && (issue.path?.length ?? 0) > 0;
}

/** The keys that may stand at a place, for suggestions. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  const last = path.at(-1);
  if (path.length === 0) return Object.keys(config.entries);
  if (typeof last === "number") return Object.keys(transfer.entries);
  return last === "query" || last === "targetQuery" ? Object.keys(query.entries) : [];
}

/** `transfers[0].query.limit` */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((place, key) => {
    if (typeof key === "number") return `${place}[${key}]`;
    const plain = /^[A-Za-z_$][\w$]*$/.test(String(key));
    if (!plain) return `${place}[${JSON.stringify(String(key))}]`;
    return place === "" ? String(key) : `${place}.${String(key)}`;
  }, "");
}
