import {
  cloneValue,
  type IdRef,
  idKey,
  type JsonValue,
  type LookUpOutcome,
  type P2PId,
  valuesEqual,
} from "@omni/p2p-core/starter";
import { idForm } from "../values/id-form.ts";
import { isSameLocator } from "../values/locator.ts";

/** A ref of which there is a document, and what that one's id is. */
export interface Present {
  readonly index: number;
  readonly id: P2PId;
  readonly locator: JsonValue | undefined;
}

/** How far an outcome counts against another of the same id: a record that is wanted is not given up for one that is not. */
const WEIGHTS = { absent: 0, unwanted: 1, failed: 2, wanted: 3 } as const;

interface Finding {
  readonly outcome: LookUpOutcome;
  readonly rank: number;
}

/** The best of what was found for each ref: the very id before the same in another type, that before the same text. */
export class Findings {
  readonly #refs: readonly IdRef[];
  readonly #byText = new Map<string, number[]>();
  readonly #best: (Finding | undefined)[];

  constructor(refs: readonly IdRef[]) {
    this.#refs = refs;
    this.#best = new Array(refs.length).fill(undefined);
    for (const [index, { id }] of refs.entries()) {
      const text = idKey(id);
      const indexes = this.#byText.get(text);
      if (indexes === undefined) this.#byText.set(text, [index]);
      else indexes.push(index);
    }
  }

  /** The refs that an id has the text of. */
  indexesOf(id: P2PId): readonly number[] {
    return this.#byText.get(idKey(id)) ?? [];
  }

  isAsked(id: P2PId): boolean {
    return this.#byText.has(idKey(id));
  }

  /** Whether what was found for a ref has its very id, as far as the server tells ids apart. */
  isSettled(index: number): boolean {
    return (this.#best[index]?.rank ?? 0) >= SAME_ID;
  }

  /** Whether a document that is there would count more than what was found for its ref, even if it is unwanted. */
  isBetter({ index, id, locator }: Present): boolean {
    return rankOf(this.#refs[index]!, id, "unwanted", locator) > (this.#best[index]?.rank ?? 0);
  }

  /** Whether there may be a record that is closer to the ref, under an id of a type that cannot be asked for by value. */
  isUnsure(index: number): boolean {
    const best = this.#best[index];
    if (best === undefined) return true;
    const { id } = this.#refs[index]!;
    return best.rank < VERY_ID && typeof id === "object" && !(id instanceof Date) && !(id instanceof Uint8Array);
  }

  offer(id: P2PId, outcome: LookUpOutcome, locator: JsonValue | undefined): void {
    const told = outcome.state === "wanted" && locator !== undefined ? { ...outcome, locator } : outcome;
    let taken = false;
    for (const index of this.indexesOf(id)) {
      const rank = rankOf(this.#refs[index]!, id, outcome.state, locator);
      if (rank <= (this.#best[index]?.rank ?? 0)) continue;
      // A record is its receiver's own, so an id that is asked for twice gets two.
      const own = taken && told.state === "wanted" ? { ...told, record: cloneValue(told.record) } : told;
      this.#best[index] = { outcome: own, rank };
      taken = true;
    }
  }

  outcomes(): LookUpOutcome[] {
    return this.#best.map((finding) => finding?.outcome ?? { state: "absent" });
  }
}

/** What counts most: the very id, then the same id in another type, then another id with the same text. */
const VERY_ID = 32;
const SAME_ID = 16;
const SAME_TEXT = 8;
/** Then the locator, where there are several documents of one id on several shards. */
const SAME_LOCATOR = 4;

function rankOf(ref: IdRef, id: P2PId, state: LookUpOutcome["state"], locator: JsonValue | undefined): number {
  const closeness = valuesEqual(ref.id, id) ? VERY_ID : idForm(ref.id) === idForm(id) ? SAME_ID : SAME_TEXT;
  return closeness + (isSameLocator(ref.locator, locator) ? SAME_LOCATOR : 0) + WEIGHTS[state];
}
