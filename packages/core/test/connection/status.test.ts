import { describe, expect, it } from "vitest";
import { assertTransition, invalidForTransfer } from "../../src/connection/status.ts";
import { ConnectionStatus, isP2PError } from "../../src/index.ts";

const STATES = Object.values(ConnectionStatus);

/** The design's own words, as a table of its own. */
const LEGAL = new Set([
  "CONNECTING ESTABLISHED",
  "ESTABLISHED TRANSFERRING",
  "TRANSFERRING IDLE",
  "IDLE TRANSFERRING",
  ...STATES.filter((from) => !["ERROR", "CLOSED"].includes(from)).map((from) => `${from} ERROR`),
  "ERROR CONNECTING",
  ...STATES.filter((from) => from !== "CLOSED").map((from) => `${from} CLOSED`),
]);

describe("the states of a connection", () => {
  it("are the guide's", () => {
    expect(STATES).toEqual(["CONNECTING", "ESTABLISHED", "TRANSFERRING", "IDLE", "ERROR", "CLOSED"]);
    expect(Object.keys(ConnectionStatus)).toEqual(STATES);
  });

  it.each(STATES.flatMap((from) => STATES.map((to) => [from, to] as const)))("%s to %s", (from, to) => {
    const step = () => assertTransition(from, to);
    if (LEGAL.has(`${from} ${to}`)) return expect(step).not.toThrow();
    expect(step).toThrow(`A connection cannot go from ${from} to ${to}`);
    expect(step).toThrow(expect.toSatisfy((error) => isP2PError(error, "INVALID_STATE")));
  });

  it.each(["CONNECTING", "TRANSFERRING", "ERROR", "CLOSED"] as const)(
    "%s allows no transfer, in the guide's words",
    (status) => {
      const error = invalidForTransfer(status);
      expect(error.code).toBe("INVALID_STATE");
      expect(error.message).toMatch(
        new RegExp(`^Connection is not in a valid state for transfer: it is ${status}; .+`),
      );
    },
  );
});
