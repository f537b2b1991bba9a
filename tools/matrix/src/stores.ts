import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The storage types, in the order of the guide. */
export const STORES = ["memory", "sqlite", "redis", "mongodb", "elasticsearch", "postgresql"] as const;

/** Those between which records are copied and no more: files cannot look up or delete, as mirrors and follows need. */
export const COPIED_STORES = [...STORES, "file"] as const;

/** One of them. */
export type Store = (typeof COPIED_STORES)[number];

/** The URLs of the servers; memory and SQLite need none. */
export type ServerUrls = Partial<Readonly<Record<Store, string>>>;

/** Gives places in stores that nothing else uses. */
export class Places {
  readonly #servers: ServerUrls;
  /** A folder that is removed at the end. */
  readonly folder = mkdtempSync(join(tmpdir(), "omni-p2p-matrix-"));
  readonly #run = `matrix-${process.pid}-${Date.now().toString(36)}`;
  #next = 0;

  constructor(servers: ServerUrls) {
    this.#servers = servers;
  }

  /** A URL of a place that is empty, or does not exist yet. */
  fresh(store: Store): string {
    const name = `${this.#run}-${this.#next++}`;
    if (store === "memory") return `memory:${name}`;
    if (store === "sqlite") return `sqlite:${join(this.folder, `${name}.db`)}?table=records`;
    if (store === "file") return `file:${join(this.folder, `${name}.ndjson`)}`;
    const server = this.#servers[store];
    if (server === undefined) throw new Error(`There is no ${store} server`);
    const url = new URL(server);
    if (store === "redis") url.searchParams.set("prefix", `${name}:`);
    else if (store === "elasticsearch") url.pathname = `/${name}`;
    else if (store === "postgresql") url.searchParams.set("table", name);
    else {
      url.pathname = "/matrix";
      url.searchParams.set("collection", name);
    }
    // The server's URL may begin with the protocol it is spoken to in.
    return store === "elasticsearch" ? url.href.replace(/^https?:/, (found) => `elasticsearch+${found}`) : url.href;
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
