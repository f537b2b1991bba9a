import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { passwordByFile } from "../src/client/password-file.ts";

describe("the password file", () => {
  const folder = mkdtempSync(join(tmpdir(), "p2p-pgpass-"));
  const file = join(folder, "pgpass");
  afterAll(() => rmSync(folder, { recursive: true }));
  const login = { host: "db", port: 5432, database: "app", user: "al" };

  const passwordIn = async (text: string, who = login) => {
    writeFileSync(file, text, { mode: 0o600 });
    chmodSync(file, 0o600);
    return (await passwordByFile(who, file)).password;
  };

  it("gives the first line that fits", async () => {
    expect(await passwordIn("# a comment\n\nother:5432:app:al:no\ndb:5432:app:al:yes\ndb:5432:app:al:late\n")).toBe(
      "yes",
    );
    expect(await passwordIn("*:*:*:al:any\n")).toBe("any");
    expect(await passwordIn("db:5433:app:al:no\r\ndb:5432:*:*:crlf\r\n")).toBe("crlf");
    expect(await passwordIn("a:1:b:c:d\n")).toBeUndefined();
    // As short as it may be.
    expect(await passwordIn("*:*:*:*:x")).toBe("x");
  });

  it("knows the escapes", async () => {
    expect(await passwordIn("db:5432:app:al:a\\:b\\\\c\n")).toBe("a:b\\c");
    expect(await passwordIn("d\\:b:5432:app:a\\\\:x\n", { ...login, host: "d:b", user: "a\\" })).toBe("x");
    // A star that is escaped is a star.
    expect(await passwordIn("\\*:5432:app:al:x\n")).toBeUndefined();
    // What is behind the password is no field of it.
    expect(await passwordIn("db:5432:app:al:x:more\n")).toBe("x");
    expect(await passwordIn("::1:5432:app:al:x\n", { ...login, host: "::1" })).toBeUndefined();
    expect(await passwordIn("\\:\\:1:5432:app:al:x\n", { ...login, host: "::1" })).toBe("x");
  });

  it("calls the host of a Unix socket localhost", async () => {
    expect(await passwordIn("localhost:5432:app:al:x\n", { ...login, host: "/var/run/postgresql" })).toBe("x");
  });

  it("is not used when others can read it, or when it is none", async () => {
    await passwordIn("*:*:*:*:secret\n");
    chmodSync(file, 0o640);
    const answer = await passwordByFile(login, file);
    expect(answer.password).toBeUndefined();
    expect(answer.refused).toMatch(/chmod 600/);
    expect(answer.refused).not.toContain("secret");
    mkdirSync(join(folder, "d"));
    expect((await passwordByFile(login, join(folder, "d"))).refused).toMatch(/no plain file/);
    expect(await passwordByFile(login, join(folder, "none"))).toEqual({});
  });
});
