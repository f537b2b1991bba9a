import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";

/** A network of its own for one worker: it reaches the servers by one wire only. */
export interface Namespace {
  readonly name: string;
  /** The address of this machine as it is seen from inside. */
  readonly host: string;
  /** The URL as it leads out of the namespace to a server of this machine. */
  urlFrom(url: string): Promise<string>;
  remove(): Promise<void>;
}

/** Why there are no network namespaces here; nothing when there can be. */
export function namespaceTrouble(): string | undefined {
  const name = `p2p-try-${process.pid}`;
  for (const command of [
    `netns add ${name}`,
    `link add ${name.slice(0, 13)}a type veth peer name ${name.slice(0, 13)}b`,
  ]) {
    const { status, stderr, error } = spawnSync("ip", command.split(" "), { encoding: "utf8" });
    if (status === 0) continue;
    spawnSync("ip", ["netns", "del", name]);
    return error ? "the command ip is not installed" : stderr.trim();
  }
  spawnSync("ip", ["link", "del", `${name.slice(0, 13)}a`]);
  spawnSync("ip", ["netns", "del", name]);
  return undefined;
}

let made = 0;

/** Makes a namespace, with a wire to this one. */
export function makeNamespace(): Namespace {
  const number = ++made;
  const id = `p2p${(process.pid % 100_000).toString(36)}n${number}`;
  const [host, inside] = [`10.213.${number}.1`, `10.213.${number}.2`];
  const wires = [`${id}a`, `${id}b`] as const;
  ip("netns", "add", id);
  ip("link", "add", wires[0], "type", "veth", "peer", "name", wires[1]);
  ip("link", "set", wires[1], "netns", id);
  ip("addr", "add", `${host}/24`, "dev", wires[0]);
  ip("link", "set", wires[0], "up");
  ip("netns", "exec", id, "ip", "addr", "add", `${inside}/24`, "dev", wires[1]);
  ip("netns", "exec", id, "ip", "link", "set", wires[1], "up");
  ip("netns", "exec", id, "ip", "link", "set", "lo", "up");
  const forwards = new Map<string, Promise<{ server: Server; port: number }>>();
  return {
    name: id,
    host,
    async urlFrom(text) {
      const url = new URL(text);
      if (url.hostname === "") return text;
      const to = { host: url.hostname, port: Number(url.port) };
      const key = `${to.host}:${to.port}`;
      if (!forwards.has(key)) forwards.set(key, forward(host, to));
      url.hostname = host;
      url.port = String((await forwards.get(key)!).port);
      return url.href;
    },
    async remove() {
      for (const { server } of await Promise.all(forwards.values())) server.close();
      spawnSync("ip", ["link", "del", wires[0]]);
      spawnSync("ip", ["netns", "del", id]);
    },
  };
}

function ip(...words: string[]): void {
  const { status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`ip ${words.join(" ")}: ${stderr}`);
}

/** The servers listen on this machine's own address alone, so what comes over the wire is passed on to them. */
async function forward(host: string, to: { readonly host: string; readonly port: number }) {
  const server = createServer((socket) => {
    const other = connect(to.port, to.host);
    for (const [a, b] of [
      [socket, other],
      [other, socket],
    ] as const) {
      a.pipe(b);
      a.on("error", () => b.destroy());
      a.on("close", () => b.destroy());
    }
  });
  server.listen(0, host);
  await once(server, "listening");
  return { server, port: (server.address() as { port: number }).port };
}
