import { describe, expect, it } from "vitest";
import {
  FAILED,
  LOST,
  networkTrouble,
  type Verdict,
  verdictByText,
  verdictCode,
  verdictsByCode,
} from "../../src/starter.ts";

const busy: Verdict = { code: "BUSY", retryable: true, advice: "try again" };
const away: Verdict = { code: LOST, retryable: true, advice: "wait" };

describe("verdicts", () => {
  it("are found by any of their codes", () => {
    const table = verdictsByCode<number>([
      [busy, [1, 2]],
      [away, [3]],
    ]);
    expect([1, 2, 3, 4].map((code) => table.get(code))).toEqual([busy, busy, away, undefined]);
  });

  it("are found by the first pattern that a text meets", () => {
    const rows = [
      [/lock/, busy],
      [/./, away],
    ] as const;
    expect(verdictByText(rows, "database is locked")).toBe(busy);
    expect(verdictByText(rows, "gone")).toBe(away);
    expect(verdictByText(rows, "")).toBeUndefined();
  });

  it("have one code, or one for each activity", () => {
    expect(verdictCode(busy, "open")).toBe("BUSY");
    expect((["open", "read", "write"] as const).map((activity) => verdictCode(away, activity))).toEqual([
      "CONNECTION_FAILED",
      "CONNECTION_LOST",
      "CONNECTION_LOST",
    ]);
    expect(verdictCode({ code: FAILED }, "write")).toBe("WRITE_FAILED");
  });
});

describe("networkTrouble", () => {
  it.each([
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "untrusted-certificate"],
    ["CERT_HAS_EXPIRED", "untrusted-certificate"],
    ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", "untrusted-certificate"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "certificate-of-another-host"],
    ["EPROTO", "no-tls"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "no-tls"],
    ["ENOTFOUND", "no-host"],
    ["EAI_AGAIN", "lost"],
    ["ECONNREFUSED", "refused"],
    ["ETIMEDOUT", "timeout"],
    ["ECONNRESET", "lost"],
    ["EHOSTUNREACH", "unreachable"],
    ["ENETDOWN", "unreachable"],
    ["EPIPE", "lost"],
    ["ENOENT", undefined],
  ])("%s means %s", (code, trouble) => {
    const error = Object.assign(new Error("no"), { code });
    expect(networkTrouble(error)).toBe(trouble);
    expect(networkTrouble(new Error("outer", { cause: error }))).toBe(trouble);
  });

  it("looks into no circle for ever, and at nothing that is no error", () => {
    const circle = new Error("round");
    circle.cause = circle;
    for (const thing of [circle, undefined, null, "ECONNREFUSED", 5, { code: 13 }])
      expect(networkTrouble(thing)).toBeUndefined();
  });
});
