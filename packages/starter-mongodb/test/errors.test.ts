import { P2PError, type P2PErrorCode } from "@omni/p2p-core/starter";
import {
  MongoBulkWriteError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoParseError,
  MongoServerError,
} from "mongodb";
import { describe, expect, test } from "vitest";
import { type Doing, mongodbError, recordError } from "../src/client/errors.ts";

const LABEL = "mongodb://db.example.org:27017/app";

function classify(error: unknown, doing: Doing = "write"): [P2PErrorCode, boolean] {
  const { code, retryable, message, cause } = mongodbError(error, doing, LABEL);
  expect(message).toContain(LABEL);
  expect(cause).toBe(error);
  return [code, retryable];
}

function fromServer(code: number, labels: readonly string[] = [], message = "refused"): MongoServerError {
  return new MongoServerError({ ok: 0, code, errmsg: message, errorLabels: [...labels] });
}

describe("errors of the server", () => {
  const transient: Readonly<Record<string, readonly number[]>> = {
    CONNECTION_LOST: [6, 7, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436, 133, 43, 237],
    BUSY: [24, 46, 112, 462, 16500],
    TIMEOUT: [50, 262, 64],
  };
  for (const [code, numbers] of Object.entries(transient)) {
    test(`${numbers.join(", ")} are ${code}, and worth another try`, () => {
      for (const number of numbers) {
        for (const doing of ["read", "write"] as const)
          expect(classify(fromServer(number), doing)).toEqual([code, true]);
      }
    });
  }

  test("permanent ones", () => {
    expect(classify(fromServer(18))).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(classify(fromServer(18), "open")).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(classify(fromServer(334), "open")).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(classify(fromServer(13), "read")).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(classify(fromServer(13), "write")).toEqual(["TARGET_NOT_WRITABLE", false]);
    expect(classify(fromServer(14031))).toEqual(["STORAGE_FULL", false]);
    expect(classify(fromServer(8000, [], "you are over your space quota"))).toEqual(["STORAGE_FULL", false]);
    expect(classify(fromServer(8000, [], "bad auth"), "open")).toEqual(["AUTHENTICATION_FAILED", false]);
    expect(classify(fromServer(2), "read")).toEqual(["INVALID_QUERY", false]);
    expect(classify(fromServer(2), "write")).toEqual(["WRITE_FAILED", false]);
    expect(classify(fromServer(1), "read")).toEqual(["READ_FAILED", false]);
  });

  test("unknown codes with a label that says so are worth another try", () => {
    for (const label of ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"]) {
      expect(classify(fromServer(99_999, [label]))).toEqual(["WRITE_FAILED", true]);
    }
    expect(classify(fromServer(99_999))).toEqual(["WRITE_FAILED", false]);
  });

  test("what FerretDB passes on from SQLite", () => {
    expect(classify(fromServer(1, [], "database is locked (5) (SQLITE_BUSY)"))).toEqual(["BUSY", true]);
    expect(classify(fromServer(1, [], "database or disk is full (13)"))).toEqual(["STORAGE_FULL", false]);
  });

  test("refusals of single records", () => {
    const codeOf = (number: number) => {
      const error = recordError(number, "the server's reason", LABEL);
      expect(error.message).toContain("the server's reason");
      return [error.code, error.retryable];
    };
    expect(codeOf(121)).toEqual(["TYPE_MISMATCH", false]);
    expect(codeOf(14)).toEqual(["TYPE_MISMATCH", false]);
    expect(codeOf(10334)).toEqual(["RECORD_TOO_LARGE", false]);
    expect(codeOf(17419)).toEqual(["RECORD_TOO_LARGE", false]);
    expect(codeOf(2)).toEqual(["INVALID_RECORD", false]);
    expect(codeOf(112)).toEqual(["BUSY", true]);
    expect(codeOf(99_999)).toEqual(["WRITE_FAILED", false]);
  });
});

describe("errors of the driver and of sockets", () => {
  const socketError = Object.assign(new Error("write ECONNRESET"), { code: "ECONNRESET" });

  test("of an open connection", () => {
    expect(classify(new MongoNetworkError("closed"))).toEqual(["CONNECTION_LOST", true]);
    expect(classify(new MongoNetworkTimeoutError("timed out"))).toEqual(["TIMEOUT", true]);
    expect(classify(socketError, "read")).toEqual(["CONNECTION_LOST", true]);
    expect(classify(new MongoBulkWriteError(new MongoNetworkError("closed"), {} as never))).toEqual([
      "CONNECTION_LOST",
      true,
    ]);
    expect(classify("nonsense", "ping")).toEqual(["CONNECTION_LOST", false]);
  });

  test("while opening", () => {
    expect(classify(new MongoNetworkError("refused"), "open")).toEqual(["CONNECTION_FAILED", false]);
    expect(classify(new MongoNetworkTimeoutError("timed out"), "open")).toEqual(["TIMEOUT", false]);
    expect(classify(new MongoParseError("bad option"), "open")).toEqual(["INVALID_ENDPOINT", false]);
  });

  test("a P2PError passes as it is", () => {
    const error = new P2PError("SOURCE_NOT_FOUND", "gone");
    expect(mongodbError(error, "read", LABEL)).toBe(error);
  });
});
