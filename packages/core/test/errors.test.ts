import { describe, expect, it } from "vitest";
import { isP2PError, P2PError } from "../src/index.ts";
import { isConnectionError, messageOf, toP2PError } from "../src/starter.ts";

describe("P2PError", () => {
  it("carries a code, a cause and whether to try again", () => {
    const cause = new Error("underneath");
    const error = new P2PError("BUSY", "wait", { cause, retryable: true, retryAfterMs: 50 });
    expect(error).toMatchObject({
      name: "P2PError",
      code: "BUSY",
      message: "wait",
      cause,
      retryable: true,
      retryAfterMs: 50,
    });
    const bare = new P2PError("CLOSED", "closed");
    expect(bare.retryable).toBe(false);
    expect([bare.cause, bare.retryAfterMs]).toEqual([undefined, undefined]);
    expect(bare).toBeInstanceOf(Error);
    expect(Object.keys(bare)).not.toContain("@omni/p2p-core/error");
  });

  it("is known across copies of the package, by its brand and not by its looks", async () => {
    const copy = (await import("../src/errors.ts?copy" as string)) as typeof import("../src/errors.ts");
    expect(copy.P2PError).not.toBe(P2PError);
    expect(isP2PError(new copy.P2PError("BUSY", "x"), "BUSY")).toBe(true);
    expect(isP2PError(new copy.P2PError("BUSY", "x"), "CLOSED")).toBe(false);
    for (const thing of [Object.assign(new Error("x"), { code: "BUSY" }), { code: "BUSY" }, null, undefined, "x"]) {
      expect(isP2PError(thing)).toBe(false);
    }
  });

  it("tells a broken way to the store from the rest", () => {
    for (const code of ["CONNECTION_FAILED", "CONNECTION_LOST", "AUTHENTICATION_FAILED"] as const) {
      expect(isConnectionError(new P2PError(code, "x"))).toBe(true);
    }
    for (const code of ["TIMEOUT", "BUSY", "WRITE_FAILED", "CLOSED"] as const) {
      expect(isConnectionError(new P2PError(code, "x"))).toBe(false);
    }
    expect(isConnectionError(new Error("ECONNRESET"))).toBe(false);
  });

  it("wraps whatever was thrown, and itself not", () => {
    const own = new P2PError("BUSY", "x");
    expect(toP2PError(own, "WRITE_FAILED", "It failed")).toBe(own);
    const thrown = new TypeError("boom");
    expect(toP2PError(thrown, "WRITE_FAILED", "It failed")).toMatchObject({
      code: "WRITE_FAILED",
      message: "It failed: boom",
      cause: thrown,
    });
    expect(messageOf("text")).toBe("text");
    expect(messageOf(undefined)).toBe("undefined");
  });
});
