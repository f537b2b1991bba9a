import { afterEach } from "vitest";
import { type WatchedCore, watchSecrecy } from "./watch.ts";

const watched = Symbol.for("@omni/p2p-secrecy-watch/watched");

/** Lets every test fail during which a planted password leaves the given copy of the core. */
export function failOnLeaks(core: WatchedCore): void {
  const leaks: string[] = [];
  const prototype = core.DefaultP2PConnectionManager.prototype as { [watched]?: string[] };
  // Without isolation the files of a project share their modules, and so the copy that is watched.
  if (prototype[watched] === undefined) {
    prototype[watched] = leaks;
    watchSecrecy(core, (where, text) => prototype[watched]!.push(`${where}: …${text}…`));
  }
  afterEach(() => {
    const found = prototype[watched]!.splice(0);
    if (found.length > 0)
      throw new Error(`Law 8, secrecy: a planted password left the library by ${found.join("\nand by ")}`);
  });
}
