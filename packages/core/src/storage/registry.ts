/** The registry of starters, for one process and all copies of this package in it. */
import { P2PError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { assertStarter, thisCopy } from "./contract-checks.ts";
import { loadStarter, type StarterScope, type StarterSearch, searchStarters } from "./discovery.ts";
import { installCommand, isBundled } from "./installing.ts";
import type { P2PStarter } from "./service.ts";

/** The storage types whose starters this project publishes as `@omni/p2p-starter-<type>`. */
export const OFFICIAL_TYPES: readonly string[] = [
  "memory",
  "sqlite",
  "redis",
  "mongodb",
  "elasticsearch",
  "postgresql",
  "file",
];

const shared = Symbol.for("@omni/p2p-core/starters");
const registrars = Symbol.for("@omni/p2p-core/registrars");

/** What every copy of this package in the process shares. */
const holder = globalThis as { [shared]?: Map<string, P2PStarter>; [registrars]?: WeakMap<P2PStarter, () => string> };

/** Starters registered for the whole process. */
function processStarters(): Map<string, P2PStarter> {
  holder[shared] ??= new Map();
  return holder[shared];
}

/**
 * Tells which copy of this package registered a starter: its version and where it lies. It is asked for when it is needed, since it
 * is read from the disk. Copies of contract 1 do not tell.
 */
function registrarOf(): WeakMap<P2PStarter, () => string> {
  holder[registrars] ??= new WeakMap();
  return holder[registrars];
}

/** A starter that was registered for the process, by a copy that may speak another version of the contract. */
function sharedStarter(storageType: string): P2PStarter | undefined {
  const starter = processStarters().get(storageType);
  if (starter === undefined) return undefined;
  const registrar = registrarOf().get(starter);
  const origin = () =>
    `It was registered by ${registrar === undefined ? "another, older copy" : `the copy ${registrar()}`}, and this copy is ${thisCopy()}: ` +
    "let one version be installed (npm dedupe, or npm ls @omni/p2p-core to see which package brings the other)";
  assertStarter(storageType, starter, origin);
  return starter;
}

/**
 * Registers a starter for every manager of the process. It is what `import "@omni/p2p-starter-sqlite/register"` does;
 * an application rarely calls it, since installed starters are found without it.
 *
 * @throws P2PError `STARTER_INCOMPATIBLE`
 */
export function registerStarter(starter: P2PStarter): void {
  assertStarter(starter?.storageType, starter);
  processStarters().set(starter.storageType, starter);
  registrarOf().set(starter, thisCopy);
}

/** Finds the starter of a storage type: registered by hand, registered for the process, or installed. */
export class StarterRegistry {
  readonly #own = new Map<string, P2PStarter>();
  readonly #appRoot: string | undefined;
  readonly #scope: StarterScope | undefined;

  /**
   * @param appRoot a folder of the application, where the search for its `package.json` starts; default: found.
   * @param scope how far is looked from there; default: also in the folders above.
   */
  constructor(appRoot?: string, scope?: StarterScope) {
    this.#appRoot = appRoot;
    this.#scope = scope;
  }

  /** @throws P2PError `STARTER_INCOMPATIBLE` */
  register(storageType: string, starter: P2PStarter): void {
    assertStarter(storageType, starter);
    this.#own.set(storageType, starter);
  }

  /**
   * The starter of a storage type; an installed one is loaded now.
   *
   * @throws P2PError `SERVICE_NOT_FOUND`, with the guide's message and the package to install, or
   * `STARTER_INCOMPATIBLE`.
   */
  async resolve(storageType: string): Promise<P2PStarter> {
    const known = this.#own.get(storageType) ?? sharedStarter(storageType);
    if (known) return known;
    const search = searchStarters(this.#appRoot, this.#scope);
    const installed = search.found.find((starter) => starter.storageType === storageType);
    if (!installed) throw serviceNotFound(storageType, search);
    const starter = await loadStarter(installed);
    this.register(storageType, starter);
    return starter;
  }
}

function serviceNotFound(storageType: string, { refused, project }: StarterSearch): P2PError {
  const distrusted = refused.find((starter) => starter.storageType === storageType);
  const official = OFFICIAL_TYPES.includes(storageType);
  const bundled = isBundled() ? `, and import "@omni/p2p-starter-${storageType}/register" in what is bundled` : "";
  const way =
    distrusted !== undefined
      ? `One is installed, and is not loaded: ${distrusted.reason}`
      : official
        ? `Install its starter: ${installCommand(`@omni/p2p-starter-${storageType}`, project)}${bundled}`
        : `No starter for it is among the application's dependencies${suggest(storageType, OFFICIAL_TYPES)}. ` +
          `The project's starters are ${OFFICIAL_TYPES.map((type) => `@omni/p2p-starter-${type}`).join(", ")}; ` +
          "one of your own is registered with manager.registerService(type, starter)";
  return new P2PError(
    "SERVICE_NOT_FOUND",
    `Failed to establish connection: Service not found for storage type '${storageType}'. ${way}`,
  );
}
