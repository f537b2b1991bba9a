import { isSecretName } from "@omni/p2p-core/engine";
import { type Side, variableFor } from "../endpoints/credentials.ts";

/**
 * The command that goes on with an interrupted one: its own words, `--resume`, and no secret. A password that stood
 * in a URL is to be given by its environment variable.
 *
 * @param typed the endpoints as they were typed.
 */
export function resumeCommand(argv: readonly string[], typed: Partial<Readonly<Record<Side, string>>>): string {
  const variables: string[] = [];
  const words = argv.map((word) => {
    const { safe, removed } = withoutSecrets(word);
    for (const side of ["source", "target"] as const) {
      if (word === typed[side]) variables.push(...removed.map((option) => `${variableFor(side, option)}=…`));
    }
    return shellQuote(safe);
  });
  if (!argv.includes("--resume")) words.push("--resume");
  return [...variables, programName(), ...words].join(" ");
}

/** The same for a follow, which goes on by itself: without what would make it begin anew. */
export function followAgainCommand(command: string): string {
  return command.replace(/ --resume$/, "").replace(/ --no-resume\b/, "");
}

/** The command as it was called. */
export function programName(): string {
  return process.env.npm_command === "exec" ? "npx omni-p2p" : "omni-p2p";
}

/** The URL without what is secret in it; `${NAME}` is no secret. */
export function withoutSecrets(word: string): { readonly safe: string; readonly removed: readonly string[] } {
  const removed: string[] = [];
  const withoutUser = word.replace(
    /^([a-z][a-z0-9.+-]*:\/\/)([^/?#]*)@/i,
    (whole, scheme: string, userinfo: string) => {
      const colon = userinfo.indexOf(":");
      if (colon < 0 || isVariable(userinfo.slice(colon + 1))) return whole;
      removed.push("password");
      return colon === 0 ? scheme : `${scheme}${userinfo.slice(0, colon)}@`;
    },
  );
  const queryAt = /^[a-z][a-z0-9.+-]*:/i.test(word) ? withoutUser.indexOf("?") : -1;
  if (queryAt < 0) return { safe: withoutUser, removed };
  const kept = withoutUser
    .slice(queryAt + 1)
    .split("&")
    .filter((pair) => {
      const [name, value] = pair.split("=", 2);
      if (!isSecretName(name!) || value === undefined || isVariable(value)) return true;
      removed.push(name!);
      return false;
    });
  const base = withoutUser.slice(0, queryAt);
  return { safe: kept.length > 0 ? `${base}?${kept.join("&")}` : base, removed };
}

function isVariable(text: string): boolean {
  return /^\$\{\w+\}$/.test(text);
}

/** A word as a POSIX shell takes it. */
export function shellQuote(word: string): string {
  return /^[A-Za-z0-9_/:.,@%+=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
