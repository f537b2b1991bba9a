import type { Cluster, Redis } from "ioredis";
import type { Command } from "./command.ts";
import type { CommandSerialiser } from "./command-serialiser.ts";
import { keySlot } from "./slots.ts";

/** Parts from which on a command is worth to be written down in bytes by ourselves. */
const MANY_PARTS = 20;

/** Sends commands to one server in one go; the replies, and the errors among them, come in their order. */
export async function pipelined(
  client: Redis,
  commands: readonly Command[],
  packed: CommandSerialiser,
): Promise<unknown[]> {
  if (commands.every(({ args }) => args.length >= MANY_PARTS)) {
    return Promise.all(commands.map((command) => packed.send(client, command).catch((error: Error) => error)));
  }
  const pipeline = client.pipeline();
  for (const { name, args } of commands) pipeline.callBuffer(name, args);
  return ((await pipeline.exec()) ?? []).map(([error, reply]) => error ?? reply);
}

/** What a node says to whom it sends elsewhere. */
const REDIRECTION = /^(?:MOVED|ASK|TRYAGAIN) /;

/**
 * Sends commands of one key each to the nodes that have the keys, to each in one go. Those whose keys are just moving
 * are sent again by the cluster client, which follows.
 */
export async function pipelinedToNodes(
  cluster: Cluster,
  commands: readonly Command[],
  packed: CommandSerialiser,
): Promise<unknown[]> {
  const nodes = new Map(cluster.nodes("master").map((node) => [`${node.options.host}:${node.options.port}`, node]));
  const groups = new Map<Redis | undefined, number[]>();
  for (const [i, command] of commands.entries()) {
    const node = nodes.get(cluster.slots[keySlot(keyOf(command))]?.[0] ?? "");
    const group = groups.get(node);
    if (group) group.push(i);
    else groups.set(node, [i]);
  }
  const replies: unknown[] = new Array(commands.length);
  const alone = ({ name, args }: Command) => cluster.callBuffer(name, args).catch((error: Error) => error);
  await Promise.all(
    Array.from(groups, async ([node, indexes]) => {
      const group = indexes.map((i) => commands[i]!);
      const found = node ? await pipelined(node, group, packed) : await Promise.all(group.map(alone));
      for (const [n, i] of indexes.entries()) replies[i] = found[n];
    }),
  );
  for (const [i, reply] of replies.entries()) {
    if (reply instanceof Error && REDIRECTION.test(reply.message)) replies[i] = await alone(commands[i]!);
  }
  return replies;
}

/** A script's first key comes after its text and the number of its keys. */
function keyOf({ name, args }: Command): Buffer {
  return Buffer.from(args[name === "eval" ? 2 : 0] as string | Buffer);
}
