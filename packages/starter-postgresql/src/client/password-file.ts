/** libpq's password file: who may read it, its wildcards and its escapes. */
import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** What a line of the file must fit. */
export interface Login {
  /** A host, or the folder of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/** What the file came to: a password, or why it was not used. */
export interface PasswordAnswer {
  readonly password?: string;
  /** Why a file that is there was left alone, as part of a sentence. */
  readonly refused?: string;
}

/** The password of a login by the file; a file that others can read is not used, as with libpq. */
export async function passwordByFile(login: Login, file: string | undefined): Promise<PasswordAnswer> {
  const path = file ?? usualFile();
  let text: string;
  try {
    const found = await stat(path);
    if (!found.isFile()) return { refused: `${path} is no plain file` };
    if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
      return { refused: `others may read ${path}, so that it was not used: chmod 600 it` };
    }
    text = await readFile(path, "utf8");
  } catch {
    return {};
  }
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const password = passwordOf(line, login);
    if (password !== undefined) return { password };
  }
  return {};
}

function usualFile(): string {
  return process.platform === "win32"
    ? join(process.env.APPDATA ?? homedir(), "postgresql", "pgpass.conf")
    : join(process.env.HOME ?? homedir(), ".pgpass");
}

/** The password of one line, where the line fits. */
function passwordOf(line: string, login: Login): string | undefined {
  const fields = fieldsOf(line);
  if (fields === undefined) return undefined;
  const [host, port, database, user, password] = fields;
  // The socket of the usual folder is called localhost there.
  const hostNames = login.host.startsWith("/") ? [login.host, "localhost"] : [login.host];
  const fits =
    fit(host, hostNames) &&
    fit(port, [String(login.port)]) &&
    fit(database, [login.database]) &&
    fit(user, [login.user]);
  return fits ? password.text : undefined;
}

/** A field as it is meant, and whether it was a bare `*`, which an escaped one is not. */
interface Field {
  readonly text: string;
  readonly any: boolean;
}

function fit(field: Field, values: readonly string[]): boolean {
  return field.any || values.includes(field.text);
}

/** The five fields, parted by colons; a backslash takes away the meaning of a colon or a backslash after it. */
function fieldsOf(line: string): [Field, Field, Field, Field, Field] | undefined {
  const raw = /^((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.)*):((?:[^:\\]|\\.|\\$)*)/.exec(
    line,
  );
  if (raw === null) return undefined;
  return raw.slice(1, 6).map((part) => ({ text: part.replace(/\\(.)/g, "$1"), any: part === "*" })) as [
    Field,
    Field,
    Field,
    Field,
    Field,
  ];
}
