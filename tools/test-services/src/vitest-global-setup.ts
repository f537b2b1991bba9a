import { announce } from "./announcement.ts";
import { isAvailable, type ServiceKind, serviceKinds } from "./service.ts";
import { startServices } from "./start.ts";

/** The part of vitest's project that is looked at. */
interface Project {
  readonly config: { readonly env?: Readonly<Record<string, unknown>> | undefined };
}

/**
 * For vitest's `globalSetup`: starts servers, tells the workers their URLs through `P2P_TEST_<KIND>_URL`, and stops them
 * when the run ends. A server that cannot be had has its reason printed, and its suites skip.
 *
 * Which ones: those that `P2P_TEST_SERVICES` names in the project's `test.env`, all of them where it does not say; and of
 * these, where the variable is set in the environment too, only the ones that it names there.
 */
export async function setup(project?: Project): Promise<() => Promise<void>> {
  const ours = kindsFrom(project?.config.env?.P2P_TEST_SERVICES);
  const allowed = kindsFrom(process.env.P2P_TEST_SERVICES);
  const outcomes = await startServices(ours.filter((kind) => allowed.includes(kind)));
  const withdrawals = outcomes.map(announce);
  return async () => {
    for (const withdraw of withdrawals) withdraw();
    await Promise.all(outcomes.filter(isAvailable).map((service) => service.stop()));
  };
}

function kindsFrom(list: unknown): readonly ServiceKind[] {
  if (list === undefined) return serviceKinds;
  const words = String(list)
    .split(/[\s,]+/)
    .filter((word) => word !== "");
  const unknown = words.find((word) => !serviceKinds.some((kind) => kind === word));
  if (unknown !== undefined) {
    throw new Error(`P2P_TEST_SERVICES names "${unknown}", which is none of ${serviceKinds.join(", ")}`);
  }
  return serviceKinds.filter((kind) => words.includes(kind));
}
