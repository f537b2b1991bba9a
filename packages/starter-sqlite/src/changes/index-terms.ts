/** The terms and the predicate of an index, parsed from its SQL, where SQLite's own lists do not tell them. */

/** What an index declares. */
export interface IndexTerms {
  /** The indexed expressions in order, each as it is written, less ASC and DESC. */
  readonly terms: readonly string[];
  /** What stands after WHERE. */
  readonly predicate: string | undefined;
}

const TOKEN =
  /"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|[a-z_\u0080-\uffff][\w$\u0080-\uffff]*|\s+|[\s\S]/giy;

/** @returns `undefined` where the SQL is not understood. */
export function indexTerms(sql: string): IndexTerms | undefined {
  const terms: string[] = [];
  let depth = 0;
  let term = "";
  let rest: string | undefined;
  for (const [token] of sql.matchAll(TOKEN)) {
    if (rest !== undefined) rest += token;
    else if (depth > 0) {
      const isEnd = depth === 1 && (token === "," || token === ")");
      if (isEnd) terms.push(plainTerm(term));
      term = isEnd ? "" : term + shownToken(token);
      if (token === "(") depth++;
      if (token === ")" && --depth === 0) rest = "";
    } else if (token === "(") depth = 1;
  }
  if (rest === undefined || terms.includes("")) return undefined;
  const [, predicate] = /^\s*WHERE\b([\s\S]*)$/i.exec(withoutComments(rest)) ?? [];
  if (predicate === undefined && withoutComments(rest).trim() !== "") return undefined;
  return { terms, predicate: predicate?.trim() };
}

/** A comment to the end of a line would reach further in another text. */
function shownToken(token: string): string {
  return token.startsWith("--") || token.startsWith("/*") ? " " : token;
}

function withoutComments(text: string): string {
  return [...text.matchAll(TOKEN)].map(([token]) => shownToken(token)).join("");
}

function plainTerm(term: string): string {
  return term.trim().replace(/\s+(ASC|DESC)$/i, "");
}
