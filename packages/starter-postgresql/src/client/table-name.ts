/** Names as SQL writes them, in an option: identifiers, quoted or not, with dots or commas between. */

/** A table's name, with its schema where that is given. */
export interface TableName {
  readonly schema: string | undefined;
  readonly name: string;
}

/**
 * Takes a list of names apart: `public.docs`, `"Odd.Name"`, `a, "b,c"`. What stands within quotes is one name, and two quotes
 * there are one; what stands without is taken as it is written.
 *
 * @returns `undefined` when it is no such list.
 */
export function parseNames(text: string, separator: "." | ","): string[] | undefined {
  const names: string[] = [];
  const pattern =
    separator === "." ? /\s*(?:"((?:[^"]|"")*)"|([^".]*))\s*(\.|$)/y : /\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(,|$)/y;
  while (true) {
    const match = pattern.exec(text);
    if (match === null) return undefined;
    const [, quoted, plain, end] = match;
    const name = quoted === undefined ? plain!.trim() : quoted.replaceAll('""', '"');
    if (name === "" || name.includes("\0")) return undefined;
    names.push(name);
    if (end === "") return names;
  }
}

/** The name of a table with one schema at most; `undefined` when it is none. */
export function parseTableName(text: string): TableName | undefined {
  const names = parseNames(text, ".");
  if (names === undefined || names.length > 2) return undefined;
  return { schema: names.length === 2 ? names[0] : undefined, name: names.at(-1)! };
}

/** A name as an option or a message says it: with quotes where it would be taken apart without. */
export function tableNameText({ schema, name }: TableName): string {
  return schema === undefined ? part(name) : `${part(schema)}.${part(name)}`;
}

function part(name: string): string {
  return /[".,]|^\s|\s$/.test(name) ? `"${name.replaceAll('"', '""')}"` : name;
}
