import { type ChildProcess, spawn } from "node:child_process";
import { cleanUp } from "./support.ts";

/** A program in a process of its own, which has the starter as `starter` and `parseEndpoint`. */
export function runChild(
  program: string,
  options: { uid?: number; shell?: string; flags?: string[] } = {},
): ChildProcess {
  const source = `
    const { parseEndpoint } = await import(${JSON.stringify(import.meta.resolve("@omni/p2p-core"))});
    const { sqliteStarter: starter } = await import(${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)});
    const signal = new AbortController().signal;
    const open = (endpoint, role) =>
      starter.open(parseEndpoint(endpoint), { role, signal, connectTimeoutMs: 2000 });
    ${program}`;
  const args = [...(options.flags ?? []), "--disable-warning=ExperimentalWarning", "--input-type=module", "-e", source];
  const child =
    options.shell === undefined
      ? spawn(process.execPath, args, {
          stdio: ["ignore", "pipe", "pipe"],
          ...(options.uid ? { uid: options.uid } : {}),
        })
      : spawn("bash", ["-c", `${options.shell}; exec "$0" "$@"`, process.execPath, ...args], {
          stdio: ["ignore", "pipe", "pipe"],
        });
  cleanUp(() => {
    if (child.exitCode === null) child.kill("SIGKILL");
  });
  return child;
}

/** What a program printed, when it is over. */
export async function outputOf(child: ChildProcess): Promise<string> {
  let output = "";
  let errors = "";
  child.stdout!.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr!.on("data", (chunk) => {
    errors += chunk;
  });
  await new Promise((resolve) => child.once("close", resolve));
  if (output === "") throw new Error(`the child printed nothing: ${errors}`);
  return output;
}

/** What comes of opening a target as a user whom permissions hold, which they do not for root. */
export async function openAsNobody(database: string): Promise<{ code: string; message: string }> {
  const program = `
    try {
      const target = await open({ storageType: "sqlite", database: ${JSON.stringify(database)} }, "target");
      await target.close();
      console.log(JSON.stringify({ code: "none", message: "opened" }));
    } catch (error) {
      console.log(JSON.stringify({ code: error.code, message: error.message }));
    }`;
  const child = runChild(program, process.getuid?.() === 0 ? { uid: 65534 } : {});
  return JSON.parse(await outputOf(child)) as { code: string; message: string };
}
