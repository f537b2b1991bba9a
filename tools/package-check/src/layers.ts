/** The rooms of a package from the lowest to the highest: each imports from its own level and those below. */
export type Layers = readonly (readonly string[])[];

const STARTER_LAYERS: Layers = [
  ["endpoint.ts", "types.ts"],
  ["client"],
  ["mapping"],
  ["values"],
  ["formats"],
  ["query"],
  ["reading", "writing", "inspecting", "changes"],
  ["read.ts", "write.ts", "changes.ts"],
  ["starter.ts"],
  ["index.ts", "register.ts"],
];

const LAYERS: Readonly<Record<string, Layers>> = {
  core: [
    ["config.ts", "described.ts", "errors.ts", "suggest.ts"],
    ["async"],
    ["model"],
    ["storage"],
    ["kit"],
    ["transfer"],
    ["live"],
    ["connection"],
    ["index.ts", "starter.ts", "engine.ts"],
  ],
  cli: [
    ["exit-code.ts", "usage-error.ts", "flags"],
    ["output", "supervision", "modules", "sampling"],
    ["query"],
    ["session"],
    ["endpoints"],
    ["config"],
    ["transfer"],
    ["engine", "completion", "worker-parts.ts"],
    ["commands"],
    ["program.ts"],
    ["main.ts"],
    ["index.ts", "start.ts", "work.ts", "bin.ts"],
  ],
  "engine-bullmq": [
    ["errors.ts", "protocol.ts", "connection.ts"],
    ["endpoints", "state"],
    ["submitting", "worker-module.ts"],
    ["worker-options.ts"],
    ["jobs"],
    ["processes", "distributed-transfer.ts"],
    ["worker.ts", "work-process.ts"],
    ["index.ts"],
  ],
  testkit: [
    ["awkward-texts.ts", "lacks.ts", "over-wire.ts", "readme-tables.ts", "round-trips.ts"],
    ["samples.ts"],
    ["arbitraries.ts", "compare.ts", "holding.ts", "reference.ts", "sample-records.ts"],
    ["bench.ts"],
    ["suite.ts", "transfer-bench.ts"],
    ["raw-bench.ts"],
    ["checks"],
    ["conformance.ts"],
    ["index.ts"],
  ],
};

/** The layers of a package by the name of its folder. */
export function layersOf(packageFolder: string): Layers {
  const layers = packageFolder.startsWith("starter-") ? STARTER_LAYERS : LAYERS[packageFolder];
  if (layers === undefined) throw new Error(`the package ${packageFolder} has no layers yet; name its rooms here`);
  return layers;
}

/** Which packages of this project another may import, by what its folder is called, and from which doors. */
export function mayImport(packageFolder: string): RegExp {
  if (packageFolder === "core") return /^$/;
  if (packageFolder.startsWith("starter-")) return /^@omni\/p2p-core\/starter$/;
  const core = String.raw`@omni\/p2p-core(?:\/starter|\/engine)?`;
  return packageFolder === "cli" ? new RegExp(`^(?:${core}|@omni/p2p-engine-bullmq)$`) : new RegExp(`^${core}$`);
}
