import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";

/** A prefix that no other test uses, and what removes the keys under it. */
export interface Place {
  readonly prefix: string;
  /** The prefix in two: what many places share, and the name of this one. */
  readonly parts: { readonly shared: string; readonly name: string };
  /** The URL of the server with the prefix and these options. */
  endpoint(options?: Readonly<Record<string, string>>): string;
  dispose(): Promise<void>;
  /** Sets a key under the prefix to a text, whatever it held. */
  set(name: string, text: string): Promise<void>;
}

/** A place of its own on a server that tests share. */
export function makePlace(serverUrl: string): Place {
  const parts = { shared: "p2p-test:", name: randomUUID() };
  const prefix = `${parts.shared}${parts.name}:`;
  return {
    prefix,
    parts,
    endpoint(options = {}) {
      const url = new URL(serverUrl);
      for (const [name, value] of Object.entries({ prefix, ...options })) url.searchParams.set(name, value);
      return url.href;
    },
    async set(name, text) {
      const client = new Redis(serverUrl);
      try {
        await client.set(prefix + name, text);
      } finally {
        await client.quit();
      }
    },
    async dispose() {
      const client = new Redis(serverUrl);
      try {
        for await (const keys of client.scanStream({ match: `${prefix}*`, count: 1000 })) {
          if ((keys as string[]).length > 0) await client.unlink(keys as string[]);
        }
      } finally {
        await client.quit();
      }
    },
  };
}
