import { setTimeout as sleep } from "node:timers/promises";
import { isP2PError, type P2PTransferError, type TransferOptions } from "@omni/p2p-core";
import { Places, type ServerUrls, type Store } from "@omni/p2p-matrix/stores";
import type { ServiceKind, TestService } from "@omni/p2p-test-services";
import { differences, fill, newManager } from "./data.ts";
import { FaultProxy, NO_FAULTS } from "./fault-proxy.ts";
import { check, type Report } from "./report.ts";
import { untilCopying } from "./until-copying.ts";

const RECORDS = 5000;

/** Which end of the transfer the way to the server is. */
type Role = "source" | "target";

/** One way in which a network or a server fails. */
interface Fault {
  readonly name: string;
  /** Disturbs a transfer that is under way. */
  readonly disturb: (proxy: FaultProxy, service: TestService, random: () => number) => Promise<void>;
  readonly options?: TransferOptions;
  /** Where it can happen, when that is not everywhere. */
  readonly only?: { readonly kind: ServiceKind; readonly role: Role };
  /** Whether the transfer may end by a typed error; without this it must succeed. */
  readonly mayFail?: boolean;
  /** Whether a connection must have been refused while the transfer was under way. */
  readonly mustRefuse?: boolean;
}

const FAULTS: readonly Fault[] = [
  {
    name: "connections reset",
    async disturb(proxy, _service, random) {
      for (let cut = 0; cut < 3; cut++) {
        await sleep(10 + random() * 60);
        proxy.cut();
      }
    },
  },
  {
    name: "half-open stall",
    async disturb(proxy, _service, random) {
      await sleep(10 + random() * 60);
      proxy.faults.stalled = true;
      await sleep(3000);
      proxy.faults.stalled = false;
      proxy.cut();
    },
    options: { transferTimeout: 60_000 },
  },
  {
    name: "stall for ever",
    async disturb(proxy, _service, random) {
      await sleep(10 + random() * 60);
      proxy.faults.stalled = true;
    },
    options: { transferTimeout: 6000 },
    mayFail: true,
  },
  {
    name: "300 ms of latency",
    async disturb(proxy) {
      proxy.faults.latencyMs = 300;
    },
    options: { transferTimeout: 120_000 },
  },
  {
    name: "1 % of connections refused, and resets",
    async disturb(proxy, _service, random) {
      proxy.faults.refuse = 0.01;
      for (let cut = 0; cut < 5; cut++) {
        await sleep(10 + random() * 40);
        // One in a hundred may be none of so few: one is refused for certain.
        if (cut === 0) proxy.refuseNext();
        proxy.cut();
      }
    },
    mustRefuse: true,
  },
  {
    name: "server restart",
    async disturb(_proxy, service, random) {
      await sleep(10 + random() * 60);
      await service.restart!();
    },
    options: { transferTimeout: 120_000, reconnectTimeout: 90_000 },
  },
  {
    name: "server restart in the middle of COPY",
    only: { kind: "postgresql", role: "target" },
    async disturb(_proxy, service) {
      await untilCopying(service.url);
      await service.restart!();
    },
    options: { batchSize: 1000, transferTimeout: 120_000, reconnectTimeout: 90_000 },
  },
];

/** Breaks the way to each server, as a target and as a source, in every way there is. */
export async function breakNetwork(
  report: Report,
  services: readonly TestService[],
  random: () => number,
): Promise<void> {
  for (const service of services) {
    for (const role of ["target", "source"] as const) {
      for (const fault of FAULTS) {
        if (fault.only && (fault.only.kind !== service.kind || fault.only.role !== role)) continue;
        const scenario = `${fault.name}: ${role === "target" ? `sqlite -> ${service.kind}` : `${service.kind} -> sqlite`}`;
        if (fault.name.startsWith("server restart") && !service.restart) {
          console.log(`not run: ${scenario}, since the server at a given URL cannot be restarted from here`);
          continue;
        }
        await report.run(scenario, () => disturbed(service, role, fault, random));
      }
    }
  }
}

async function disturbed(service: TestService, role: Role, fault: Fault, random: () => number): Promise<string> {
  const proxy = await FaultProxy.open(Number(new URL(service.url).port), random);
  const direct = new Places({ [service.kind]: service.url } as ServerUrls);
  try {
    const local = direct.fresh("sqlite");
    const remote = direct.fresh(service.kind as Store);
    const throughProxy = remote.replace(/:(\d+)(?=[/?])/, `:${proxy.port}`);
    const [source, target] = role === "target" ? [local, throughProxy] : [throughProxy, local];
    await fill(role === "target" ? local : remote, RECORDS);
    const transferId = `chaos-${Math.floor(random() * 1e9)}`;
    const options: TransferOptions = {
      batchSize: 100,
      transferTimeout: 60_000,
      checkpoint: direct.folder,
      transferId,
      deadLetters: false,
      ...fault.options,
    };
    const start = performance.now();
    let felt = 0;
    let refused = 0;
    const outcome = await transfer(
      source,
      target,
      options,
      () => fault.disturb(proxy, service, random),
      () => {
        ({ felt, refused } = proxy);
      },
    );
    const ms = Math.round(performance.now() - start);
    check(felt > 0, "the transfer was over before it was disturbed");
    check(!fault.mustRefuse || refused > 0, "the transfer was over before a connection was refused");
    check(ms < options.transferTimeout! + 8000, `it took ${ms} ms, and its timeout was ${options.transferTimeout} ms`);
    check(outcome === undefined || fault.mayFail === true, `it ended with ${outcome?.code}: ${outcome?.message}`);
    if (outcome) {
      Object.assign(proxy.faults, NO_FAULTS);
      proxy.cut();
      const again = await transfer(
        source,
        target,
        { ...options, resume: true, transferTimeout: 60_000 },
        async () => {},
      );
      check(again === undefined, `it could not be resumed: ${again?.code}: ${again?.message}`);
    }
    const difference = await differences(role === "target" ? local : remote, role === "target" ? remote : local);
    check(difference === undefined, String(difference));
    return `${outcome ? `${outcome.code}, then resumed` : "succeeded"} in ${ms} ms, source and target equal`;
  } finally {
    await proxy.close();
    direct.dispose();
  }
}

/**
 * Runs a transfer while it is disturbed, and says when it has ended, before anything is closed; returns the typed error
 * that ended it, if one did.
 */
async function transfer(
  source: string,
  target: string,
  options: TransferOptions,
  disturb: () => Promise<void>,
  ended: () => void = () => {},
): Promise<P2PTransferError | undefined> {
  const manager = newManager();
  try {
    const { connectionId } = await manager.establish(source, target);
    const disturbing = disturb();
    try {
      await manager.transferThroughConnection(connectionId, {}, options);
      return undefined;
    } catch (error) {
      check(isP2PError(error), `it ended with an error that is not typed: ${(error as Error).message}`);
      return error as P2PTransferError;
    } finally {
      ended();
      await disturbing;
    }
  } finally {
    await manager.close({ drainTimeout: 0 });
  }
}
