import { type Command, Option } from "commander";
import { type OutputFlags, withOutput } from "./output.ts";
import { type StoreFlags, withStores } from "./stores.ts";

/** What `changes` can do. */
export const CHANGES_ACTIONS = ["status", "enable", "disable"] as const;
export type ChangesAction = (typeof CHANGES_ACTIONS)[number];

/** Flags of `changes`. */
export type ChangesFlags = StoreFlags & OutputFlags & { readonly follower?: string };

export function withChangesFlags(command: Command): Command {
  return withOutput(
    withStores(
      command.addOption(
        new Option("--follower <name>", "with disable: only what the store keeps for this one (default: everything)"),
      ),
    ),
  );
}
