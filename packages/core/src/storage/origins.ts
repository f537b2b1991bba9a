/** The origins of open stores: from which starter and endpoint one came, so that another thread can open it once more. */
import type { EndpointInfo } from "./endpoint.ts";
import type { P2PDataTransferService, P2PStarter } from "./service.ts";

/** A starter among the application's dependencies, not loaded yet. */
export interface InstalledStarter {
  readonly storageType: string;
  readonly packageName: string;
  readonly version: string;
  /** The package's folder. */
  readonly directory: string;
}

/** What another thread needs to open a store. */
export interface StoreOrigin {
  readonly installed: InstalledStarter;
  readonly endpoint: EndpointInfo;
}

const packages = new WeakMap<P2PStarter, InstalledStarter>();
const origins = new WeakMap<P2PDataTransferService, StoreOrigin>();

/** Notes from which package a starter was loaded. */
export function noteStarter(starter: P2PStarter, installed: InstalledStarter): void {
  packages.set(starter, installed);
}

/** Notes what was opened. */
export function noteOpened(service: P2PDataTransferService, starter: P2PStarter, endpoint: EndpointInfo): void {
  const installed = packages.get(starter);
  if (installed !== undefined && starter.threads === true) origins.set(service, { installed, endpoint });
}

/** `undefined` where only this thread can have the store: its starter was registered by the application, or says nothing of threads. */
export function originOf(service: P2PDataTransferService): StoreOrigin | undefined {
  return origins.get(service);
}
