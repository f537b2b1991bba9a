import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const manifest = createRequire(import.meta.url).resolve("elasticdump/package.json");

/** Documents in a page of elasticdump: the largest that a server gives by default, and the fastest; its default is 100. */
const LIMIT = 10_000;

/** Copies the documents of an index with elasticdump, as people start it. Input and output are an index's URL or a file. */
export async function elasticdump(input: string, output: string): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      join(dirname(manifest), "bin", "elasticdump"),
      `--input=${input}`,
      `--output=${output}`,
      "--type=data",
      `--limit=${LIMIT}`,
      "--overwrite",
      "--quiet",
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let complaints = "";
  child.stderr.on("data", (data) => {
    complaints += data;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`elasticdump ended with ${code}: ${complaints}`);
}
