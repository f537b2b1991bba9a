import { z } from "zod";

const endpoint = z.union([z.string().min(1), z.record(z.string(), z.unknown())]);
const settings = z.record(z.string(), z.unknown());

const query = z.strictObject({
  type: z.string().optional(),
  where: z.union([z.array(z.string()), z.record(z.string(), z.unknown())]).optional(),
  fields: z.array(z.string()).optional(),
  orderBy: z.unknown().optional(),
  offset: z.int().min(0).optional(),
  limit: z.int().min(0).optional(),
  native: z.record(z.string(), z.unknown()).optional(),
});

const transfer = z.strictObject({
  name: z.string().min(1).optional(),
  source: endpoint,
  target: endpoint,
  query: query.optional(),
  config: settings.optional(),
  transform: z
    .union([z.string().min(1), z.custom((value) => typeof value === "function", "must be a function or a file")])
    .optional(),
  transformVersion: z.string().optional(),
  transferId: z.string().min(1).max(200).optional(),
  deadLetters: z.union([z.string().min(1), z.literal(false)]).optional(),
  verify: z.boolean().optional(),
});

/** The form of a config file; the core checks settings, queries and endpoints in depth. */
export const configSchema = z.strictObject({
  endpoints: z.record(z.string(), endpoint).optional(),
  defaults: settings.optional(),
  transfers: z.array(transfer).optional(),
});

/** The keys that may stand at a place, for suggestions. */
export function keysAt(path: readonly PropertyKey[]): readonly string[] {
  const last = path.at(-1);
  if (path.length === 0) return Object.keys(configSchema.shape);
  if (typeof last === "number") return Object.keys(transfer.shape);
  return last === "query" ? Object.keys(query.shape) : [];
}

/** `transfers[0].query.limit` */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    const plain = /^[A-Za-z_$][\w$]*$/.test(String(key));
    if (!plain) return `${text}[${JSON.stringify(String(key))}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");
}
