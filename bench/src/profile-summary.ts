import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { ShapeName } from "./shapes.ts";

/** What V8 writes of a profile, as far as it is needed here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

const SHOWN = 20;
const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The name of a profile's files, without their ending. */
export function profileName(which: "ours" | "limit", direction: string, shape: ShapeName): string {
  return `${which}-${direction.replace(" -> ", "-")}-${shape}`;
}

/** The functions that a profile found at work most of the time, without what they called, as lines of text. */
export function profileSummary(json: string): string {
  const { nodes, samples, timeDeltas } = JSON.parse(json) as CpuProfile;
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const micros = new Map<string, number>();
  let busy = 0;
  for (const [index, id] of samples.entries()) {
    const name = names.get(id)!;
    if (name === "(root)") continue;
    micros.set(name, (micros.get(name) ?? 0) + timeDeltas[index]!);
    if (name !== "(idle)") busy += timeDeltas[index]!;
  }
  const lines = [...micros]
    .filter(([name]) => name !== "(idle)")
    .toSorted(([, a], [, b]) => b - a)
    .slice(0, SHOWN)
    .map(([name, time]) => `${((time * 100) / busy).toFixed(1).padStart(5)} %  ${name}`);
  const seconds = (time: number) => `${(time / 1e6).toFixed(2)} s`;
  return [`busy ${seconds(busy)}, idle ${seconds(micros.get("(idle)") ?? 0)}`, ...lines, ""].join("\n");
}

function nameOf({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName || "(anonymous)";
  if (url === "") return name;
  const file = url.startsWith("file:") ? relative(repository, fileURLToPath(url)) : url;
  // Where the package manager keeps a package is no part of its name.
  return `${name}  ${file.replace(/^.*node_modules\//, "")}:${lineNumber + 1}`;
}
