import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

/** Which versions of Java a server runs on. */
export interface JavaRange {
  readonly product: string;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** Where Debian, Fedora and others put what they install. */
const installed = "/usr/lib/jvm";

/** The home of a Java development kit of this machine that a server runs on: `JAVA_HOME`, the PATH's, or another one. */
export async function findJava({ product, from, to }: JavaRange): Promise<string> {
  const { JAVA_HOME } = process.env;
  const folders = await readdir(installed).catch(() => []);
  const candidates = [
    ...(JAVA_HOME ? [join(JAVA_HOME, "bin", "java")] : []),
    "java",
    ...folders.map((folder) => join(installed, folder, "bin", "java")).filter((java) => existsSync(java)),
  ];
  const seen = new Set<number>();
  for (const java of candidates) {
    const said = await runProgram(java, ["-XshowSettings:properties", "-version"], {
      timeoutMs: 30_000,
      withStderr: true,
    }).catch(() => "");
    const major = Number(/java\.specification\.version = (?:1\.)?(\d+)/.exec(said)?.[1]);
    const home = /java\.home = (.*)/.exec(said)?.[1]?.trim();
    if (home !== undefined && major >= from && major <= to) return home;
    if (major > 0) seen.add(major);
  }
  const have = seen.size === 0 ? "the machine has none" : `the machine has ${[...seen].join(" and ")}`;
  throw new Error(`${product} needs Java ${from} to ${to}, and ${have}`);
}
