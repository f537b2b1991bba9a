/** SQL text: identifiers, literals, and statements with their parameters. */

/** A piece of SQL with the values of `$1`, `$2`, … in the server's text form; `null` is SQL's NULL. */
export interface Sql {
  readonly text: string;
  readonly params: readonly (string | null)[];
}

/** A name as an identifier, whatever stands in it. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a literal that means the same whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const doubled = text.replaceAll("'", "''");
  return doubled.includes("\\") ? ` E'${doubled.replaceAll("\\", "\\\\")}'` : `'${doubled}'`;
}

/** A table's or a type's name with its schema. */
export function qualified({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${quote(schema)}.${quote(name)}`;
}
