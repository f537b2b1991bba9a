/** A reservoir sample of the source's records: by it a source that was emptied under way is told from one that lost a few. */

import type { P2PRecord } from "../model/record.ts";
import type { IdRef } from "../storage/id-ref.ts";

/** Records remembered. */
const SAMPLE = 16;

/** J. Vitter, "Random Sampling with a Reservoir" (1985), algorithm R: each record that was read is as likely to be in it. */
export class SourceWitnesses {
  readonly #refs: IdRef[] = [];
  #seen = 0;

  note(records: readonly P2PRecord[]): void {
    for (const { id } of records) {
      const place = this.#seen++ < SAMPLE ? this.#refs.length : Math.floor(Math.random() * this.#seen);
      if (place < SAMPLE) this.#refs[place] = { id };
    }
  }

  get refs(): readonly IdRef[] {
    return this.#refs;
  }

  /** Whether so many are no longer there that the source must have lost most of what was read of it. */
  areGone(gone: number): boolean {
    return gone > 0 && gone * 2 > this.#refs.length;
  }
}
