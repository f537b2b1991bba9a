import type { JsonValue } from "@omni/p2p-core/starter";
import type { Key } from "../../client/keys.ts";

/** Some keys in the order in which they are read. */
export interface KeySlice {
  readonly keys: readonly Key[];
  /** The cursor that points after the key at this index. */
  cursorAt(index: number): JsonValue;
}

/** Gives keys in an order, each once. */
export interface KeySource {
  /** The next keys, at most so many; none when there are no more. Called when the last call is settled. */
  take(count: number): Promise<KeySlice>;
}

/** A source of keys that are known already. */
export function listedKeys(keys: readonly Key[], cursorOf: (index: number) => JsonValue): KeySource {
  let position = 0;
  return {
    async take(count) {
      const from = position;
      const taken = keys.slice(from, from + count);
      position += taken.length;
      return { keys: taken, cursorAt: (index) => cursorOf(from + index) };
    },
  };
}
