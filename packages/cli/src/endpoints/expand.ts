import { UsageError } from "../usage-error.ts";

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/**
 * Puts the values of environment variables where a text says `${NAME}`. In the user and password of a URL, and as the
 * value of an option in it, they are escaped, so that a password may hold any character.
 *
 * @param where names the text in the error about a variable that is not set.
 */
export function expandVariables(text: string, where: string): string {
  const authority = /^[a-z][a-z0-9.+-]*:\/\//i.exec(text);
  const slash = authority ? text.indexOf("/", authority[0].length) : -1;
  const userinfoEnd = authority ? text.lastIndexOf("@", slash < 0 ? text.length : slash) : -1;
  const queryAt = /^[a-z][a-z0-9.+-]*:/i.test(text) ? text.indexOf("?") : -1;
  return text.replace(VARIABLE, (_, name: string, at: number) => {
    const value = process.env[name];
    if (value === undefined) {
      throw new UsageError(`${where} needs the environment variable ${name}, which is not set`, `export ${name}=…`);
    }
    const option = queryAt >= 0 && at > queryAt && text[at - 1] === "=";
    return at < userinfoEnd || option ? encodeURIComponent(value) : value;
  });
}

/** {@link expandVariables} in every text of a plain object. */
export function expandDeep(value: unknown, where: string): unknown {
  if (typeof value === "string") return expandVariables(value, where);
  if (Array.isArray(value)) return value.map((inner) => expandDeep(inner, where));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, expandDeep(inner, where)]));
}
