/** A prompt on a terminal: a follow that is paused before many deletes is let go on by Enter. */
import type { FollowHandle } from "@omni/p2p-core";
import type { Output } from "../output/output.ts";

/** Asks for one follow after the other, so that nobody lets go what they were not shown. */
export class PausePrompt {
  readonly #out: Output;
  readonly #waiting = new Map<FollowHandle, string>();
  #asked: FollowHandle | undefined;
  readonly #entered = () => this.#goOn();

  constructor(out: Output) {
    this.#out = out;
  }

  /** @param message why it is paused. */
  ask(follow: FollowHandle, message: string): void {
    this.#waiting.set(follow, message);
    if (this.#asked === undefined) this.#next();
  }

  /** It is not paused any more. */
  forget(follow: FollowHandle): void {
    this.#waiting.delete(follow);
    if (this.#asked !== follow) return;
    this.#asked = undefined;
    this.#next();
  }

  #next(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      process.stdin.off("data", this.#entered);
      process.stdin.pause();
      return;
    }
    const [follow, message] = next;
    this.#asked = follow;
    this.#out.note(
      `${message}\nEnter lets these deletes through; Ctrl-C stops, to start again with --max-deletes or --deletes keep.`,
    );
    process.stdin.off("data", this.#entered);
    process.stdin.on("data", this.#entered);
    process.stdin.resume();
  }

  #goOn(): void {
    const follow = this.#asked;
    if (follow === undefined) return;
    this.forget(follow);
    follow.resume();
  }
}
