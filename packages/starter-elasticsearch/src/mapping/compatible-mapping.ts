import type { FieldKind } from "../types.ts";
import { idPropertyOf } from "../types.ts";
import { type MappingNeeds, takesFields } from "./load-schema.ts";
import type { IndexSchema } from "./schema.ts";

/**
 * Whether an index is ours alone: every field of it was made for a kind of value. Its documents can be taken to another
 * index of ours as they are, since both have been made by one rule.
 */
export function isWhollyOurs({ ours, sidecar, fields }: IndexSchema): boolean {
  if (!ours || !sidecar || !fields.has("id")) return false;
  for (const { kind } of fields.values()) if (kind === undefined) return false;
  return true;
}

/** What the documents of an index of ours need in another one: its fields, with their kinds. */
export function needsOfIndex({ fields }: IndexSchema): MappingNeeds {
  return {
    newFields(schema) {
      const found = new Map<string, FieldKind>();
      if (schema !== undefined && !takesFields(schema)) return found;
      for (const [name, { kind }] of fields) {
        if (name !== "id" && kind !== undefined && !schema?.fields.has(name)) found.set(name, kind);
      }
      return found;
    },
    idProperty() {
      const id = fields.get("id");
      return idPropertyOf((id?.idType ?? id?.kind ?? "string") as Parameters<typeof idPropertyOf>[0]);
    },
  };
}

/** Whether documents of one index mean the same in another, to a reader and to the server. */
export function holdsDocumentsOf(target: IndexSchema, source: IndexSchema): boolean {
  if (!target.ours || !target.sidecar) return false;
  for (const [name, { kind, idType, type }] of source.fields) {
    const field = target.fields.get(name);
    if (field?.kind !== kind || field?.idType !== idType || field?.type !== type) return false;
  }
  return true;
}
