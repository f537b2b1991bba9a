/** Parses lists of `host:port`, IPv6 among them. */

/** Where a server listens. */
export interface HostPort {
  /** A name or an address; that of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
}

/** The longest list of hosts that is read, in characters. */
const MAX_LENGTH = 10_000;

/**
 * Takes a list of hosts apart, such as `h1:6379, h2, [::1]:6380`.
 *
 * @param fallback the port of those that name none.
 * @returns `undefined` when it is no such list.
 */
export function parseHosts(text: string, fallback: number): HostPort[] | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const hosts: HostPort[] = [];
  for (const one of text.split(",")) {
    const match = /^(?:\[([\da-f:.]+(?:%[\w.]+)?)\]|([^:\s/?#@[\]]+))(?::(\d{1,5}))?$/i.exec(one.trim());
    const port = Number(match?.[3] ?? fallback);
    if (!match || port < 1 || port > 65_535) return undefined;
    hosts.push({ host: (match[1] ?? match[2])!, port });
  }
  return hosts;
}

/** A host as it is written into URLs and lists: `localhost:6379`, `[::1]:6379`. */
export function hostText({ host, port }: HostPort): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
