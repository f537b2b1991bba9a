import { describe, expect, it } from "vitest";
import { P2PError } from "../../src/errors.ts";
import type { LookUpOutcome, P2PDataTransferService } from "../../src/storage/service.ts";
import { Witnesses } from "../../src/transfer/checkpoint/witnesses.ts";

const calm = new AbortController().signal;
const record = { id: "a" };

/** Answers each look-up by the next of these, and every later one by the last. */
function asked(...answers: readonly LookUpOutcome[]) {
  let calls = 0;
  const lookUp = async () => [answers[Math.min(calls++, answers.length - 1)]!];
  return new Witnesses({ lookUp } as unknown as P2PDataTransferService);
}

const failed = (retryable: boolean): LookUpOutcome => ({
  state: "failed",
  error: new P2PError("BUSY", "Not now", { retryable }),
});

describe("witnesses", () => {
  it("are asked again where a store could not tell for the moment, and not where it cannot tell at all", async () => {
    for (const [retryable, remembered] of [
      [true, 1],
      [false, 0],
    ] as const) {
      const witnesses = asked(failed(retryable), { state: "wanted", record });
      for (let batch = 0; batch < 2; batch++) {
        witnesses.note(1, () => record, calm);
        await witnesses.emptied(calm);
      }
      expect(witnesses.list).toHaveLength(remembered);
    }
  });

  it("tell that they are gone", async () => {
    const witnesses = asked({ state: "wanted", record }, { state: "absent" });
    witnesses.note(1, () => record, calm);
    expect(await witnesses.emptied(calm)).toEqual(["a"]);
  });
});
