import type { P2PStarter } from "@omni/p2p-core";
import { lacksOf } from "@omni/p2p-core/engine";
import { messageOf, type P2PCapabilities } from "@omni/p2p-core/starter";
import { findStarter, listStarters } from "../endpoints/installed-starters.ts";
import { ExitCode } from "../exit-code.ts";
import type { StarterEvent } from "../output/events.ts";
import type { Output } from "../output/output.ts";
import type { Session } from "../session/session.ts";

/** `omni-p2p starters` */
export async function startersCommand({ out }: Session): Promise<ExitCode> {
  const installed = listStarters();
  for (const { storageType, packageName, version, directory } of installed) {
    const found = { event: "starter", storageType, packageName, version, directory } as const;
    const event = await findStarter(storageType, []).then(
      (starter): StarterEvent => ({ ...found, ...facts(starter) }),
      (error: unknown): StarterEvent => ({ ...found, trouble: messageOf(error) }),
    );
    out.event(event);
    show(event, out);
  }
  if (installed.length === 0) {
    out.note("No starter is installed among the dependencies of this project.");
    out.note(
      "  Next: npm install @omni/p2p-starter-sqlite (or -redis, -mongodb, -elasticsearch, -postgresql, -file, -memory)",
    );
  }
  return ExitCode.OK;
}

function facts(
  starter: P2PStarter,
): Pick<StarterEvent, "contractVersion" | "options" | "can" | "lacks" | "capabilities"> {
  const { capabilities, contractVersion, options, inspect, describeMapping } = starter;
  return {
    contractVersion,
    options: Object.keys(options),
    can: ["read", "write", ...(inspect ? ["inspect"] : []), ...(describeMapping ? ["describe types"] : [])],
    lacks: lacksOf(starter),
    ...(capabilities && { capabilities }),
  };
}

function show({ storageType, packageName, version, trouble, ...event }: StarterEvent, out: Output): void {
  out.line(`${storageType}: ${packageName} ${version}`);
  if (trouble !== undefined) {
    out.line(`  trouble: ${trouble}`);
    return;
  }
  const { can = [], lacks = [], options = [], capabilities } = event;
  out.line(`  contract ${event.contractVersion}; can ${[...can, ...abilities(capabilities)].join(", ")}`);
  if (lacks.length > 0) out.line(`  lacks ${lacks.join(", ")}`);
  if (options.length > 0) out.line(`  options: ${options.join(", ")}`);
}

function abilities(capabilities: P2PCapabilities | undefined): string[] {
  if (!capabilities) return [];
  const { resumable, countable, partitionable, writeConcurrency, valueTypes } = capabilities;
  const types = (support: string) =>
    Object.entries(valueTypes).flatMap(([type, found]) => (found === support ? [type] : []));
  const [tagged, unsupported] = [types("tagged"), types("unsupported")];
  return [
    ...(resumable ? ["resume"] : []),
    ...(countable ? ["count"] : []),
    ...(partitionable ? ["partition"] : []),
    `take ${writeConcurrency} ${writeConcurrency === 1 ? "write" : "writes"} at a time`,
    ...(tagged.length > 0 ? [`keep ${tagged.join(", ")} by a tag`] : []),
    ...(unsupported.length > 0 ? [`not keep ${unsupported.join(", ")}`] : []),
  ];
}
