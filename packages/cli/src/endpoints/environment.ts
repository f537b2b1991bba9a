import { UsageError } from "../usage-error.ts";

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * Puts the values of environment variables where a text says `${NAME}`. In a URL they are escaped in the user, the
 * password, the path and the options, so that they may hold any character; a host, and what stands right behind
 * `type:`, is taken as it is, since it may be several hosts or a path with options.
 *
 * @param where names the text in the error about a variable that is not set.
 */
export function expandVariables(text: string, where: string): string {
  const scheme = /^[a-z][a-z0-9.+-]*:(?:\/\/)?/i.exec(text)?.[0];
  if (scheme === undefined) return expandPlain(text, where);
  const queryAt = text.indexOf("?");
  const slash = text.indexOf("/", scheme.length);
  const bodyEnd = queryAt < 0 ? text.length : queryAt;
  const authorityEnd = scheme.endsWith("//") ? (slash < 0 ? bodyEnd : Math.min(slash, bodyEnd)) : scheme.length + 1;
  const userinfoEnd = scheme.endsWith("//") ? text.lastIndexOf("@", slash < 0 ? text.length : slash) : -1;
  return text.replace(VARIABLE, (_, name: string, at: number) => {
    const value = variable(name, where);
    if (at < userinfoEnd || (queryAt >= 0 && at > queryAt)) return encodeURIComponent(value);
    return at < authorityEnd ? value : encodeURIComponent(value).replaceAll("%2F", "/");
  });
}

function expandPlain(text: string, where: string): string {
  return text.replace(VARIABLE, (_, name: string) => variable(name, where));
}

function variable(name: string, where: string): string {
  const value = process.env[name];
  if (value !== undefined) return value;
  throw new UsageError(`${where} needs the environment variable ${name}, which is not set`, `export ${name}=…`);
}

/** {@link expandVariables}; in the texts of a plain object, which are no URLs, values stand as they are. */
export function expandDeep(value: unknown, where: string): unknown {
  return typeof value === "string" ? expandVariables(value, where) : expandInner(value, where);
}

function expandInner(value: unknown, where: string): unknown {
  if (typeof value === "string") return expandPlain(value, where);
  if (Array.isArray(value)) return value.map((inner) => expandInner(inner, where));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, expandInner(inner, where)]));
}
