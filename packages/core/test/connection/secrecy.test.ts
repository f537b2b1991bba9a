import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { inspect } from "node:util";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  DefaultP2PConnectionManager,
  FileDeadLetterSink,
  isP2PError,
  P2PError,
  type P2PManagerEvents,
  type TransferProgress,
  type TransferResult,
} from "../../src/index.ts";
import { temporaryFolder } from "../support/folder.ts";
import { ScriptedStarter } from "../support/scripted-starter.ts";
import { lost, records, ScriptedStore, withFailures } from "../support/scripted-store.ts";
import { expectNoUnhandledRejections } from "../support/transferring.ts";

expectNoUnhandledRejections();

const PASSWORD = 'plant"ed/s3cr3t %\\ä';
const USER = "planted-user";
const TOKEN = "planted-t0ken";

const SPELLINGS = [
  PASSWORD,
  encodeURIComponent(PASSWORD),
  JSON.stringify(PASSWORD).slice(1, -1),
  Buffer.from(PASSWORD).toString("base64"),
  Buffer.from(`${USER}:${PASSWORD}`).toString("base64"),
];

/** An error as a careless client makes it. */
function indiscreet(): Error {
  const options = { auth: { user: USER, password: PASSWORD }, headers: { authorization: `Basic ${SPELLINGS[4]}` } };
  const inner = Object.assign(new Error(`login of ${USER} with ${SPELLINGS.join(" ")} and ${TOKEN}`), {
    code: "ELOGIN",
    options,
  });
  return Object.assign(new Error(`cannot reach from://${USER}:${encodeURIComponent(PASSWORD)}@h`, { cause: inner }), {
    options,
  });
}

/** All that can be seen of a thing. */
const seen = (thing: unknown): string =>
  inspect(thing, { depth: 12, showHidden: true, maxStringLength: null, maxArrayLength: null, getters: true }) +
  JSON.stringify(thing);

function expectNoSecret(what: string, thing: unknown): void {
  const text = typeof thing === "string" ? thing : seen(thing);
  const plain = text.replaceAll("\\\\", "\\");
  for (const secret of [...SPELLINGS, USER, TOKEN, "s3cr3t", "t0ken"]) {
    expect(text.includes(secret) || plain.includes(secret), `${what} holds ${secret}`).toBe(false);
  }
}

const SOURCE = `from://${USER}:${encodeURIComponent(PASSWORD)}@source-host:1/db?token=${TOKEN}`;
const TARGET = {
  storageType: "to",
  host: "target-host",
  metadata: {
    username: USER,
    password: PASSWORD,
    tls: { passphrase: PASSWORD },
    node: `https://${USER}:${encodeURIComponent(PASSWORD)}@n`,
    apiKey: TOKEN,
  },
};

const root = temporaryFolder();

/** A manager whose every event is kept, with stores that do as the test says. */
function watched() {
  const manager = new DefaultP2PConnectionManager();
  const script: { open?: () => void; write?: () => void; read?: () => void; ping?: () => void } = {};
  const open = () => {
    script.open?.();
    return new ScriptedStore(records(30), {
      read: () => script.read?.(),
      ping: async () => script.ping?.(),
      write: (call) => {
        script.write?.();
        return withFailures(call, ({ at }) =>
          (at as number) % 7 === 1
            ? new P2PError("TYPE_MISMATCH", `record refused: ${indiscreet().message} ${PASSWORD}`, {
                cause: indiscreet(),
              })
            : undefined,
        );
      },
    });
  };
  const [from, to] = [new ScriptedStarter("from", open), new ScriptedStarter("to", open)];
  manager.registerService("from", from);
  manager.registerService("to", to);
  const events: [string, unknown][] = [];
  for (const name of [
    "statusChanged",
    "transferStarted",
    "progress",
    "transferCompleted",
    "transferFailed",
    "reconnected",
    "closed",
  ] as const) {
    manager.events.on(name, (event: unknown) => events.push([name, event]));
  }
  return { manager, script, events, from };
}

describe("law 8, secrecy", () => {
  it("no secret gets into an event, an error, a statistic, a checkpoint or a dead letter", async () => {
    const { manager, script, events, from } = watched();
    const folder = mkdtempSync(join(root, "state-"));
    const connection = await manager.establish(SOURCE, TARGET, {
      retryDelay: 1,
      batch_size: 5,
      reconnect_timeout: 5,
      concurrency: 1,
    });
    expect(from.asked[0]!.endpoint.metadata, "the starter itself gets them").toMatchObject({
      username: USER,
      password: PASSWORD,
      token: TOKEN,
    });
    const options = {
      transferId: "secret",
      checkpoint: folder,
      deadLetters: join(folder, "letters.ndjson"),
      progressInterval: 0,
    };
    const run = (more: object = {}) =>
      manager.transferThroughConnection(connection.connectionId, {}, { ...options, ...more });
    const outcomes: unknown[] = [];
    const keep = (promise: Promise<unknown>) =>
      promise.then(
        (value) => outcomes.push(value),
        (error) => {
          expect(isP2PError(error), String(error)).toBe(true);
          outcomes.push(error);
        },
      );

    await keep(run());
    await keep(
      run({
        transform: () => {
          throw indiscreet();
        },
        resume: true,
      }),
    );
    await keep(
      run({
        transform: () => {
          throw indiscreet();
        },
      }),
    );
    for (const side of ["read", "write"] as const) {
      for (const error of [
        indiscreet(),
        new P2PError("WRITE_FAILED", `with ${PASSWORD}`, { cause: indiscreet() }),
        new P2PError("BUSY", TOKEN, { retryable: true, cause: { password: PASSWORD } }),
        lost(),
        PASSWORD as unknown as Error,
      ]) {
        let calls = 0;
        script[side] = () => {
          if (calls++ > 0) throw error;
        };
        await keep(run({ max_retries: 1 }));
        script[side] = () => {};
      }
    }
    script.ping = () => {
      throw indiscreet();
    };
    outcomes.push(await manager.isHealthy(connection.connectionId));
    script.open = () => {
      throw indiscreet();
    };
    await keep(run());
    await keep(manager.establish(SOURCE, TARGET));
    await keep(manager.warmUp(SOURCE, TARGET));
    script.open = () => {};
    script.ping = () => {};
    await keep(run());
    await keep(manager.verify(connection.connectionId, {}));
    script.read = () => {
      throw indiscreet();
    };
    await keep(manager.verify(connection.connectionId, {}));
    const statistics = manager.getConnectionStatistics(connection.connectionId);
    expect(statistics.last_error).toContain("[redacted]");
    await manager.close();
    await keep(manager.establish(SOURCE, TARGET));

    expect(outcomes.length).toBeGreaterThan(18);
    for (const outcome of outcomes) expectNoSecret("an outcome", outcome);
    expect(new Set(events.map(([name]) => name)).size).toBe(7);
    for (const [name, event] of events) expectNoSecret(`the event ${name}`, event);
    expectNoSecret("the connection", connection);
    expectNoSecret("the statistics", statistics);
    const files = readdirSync(folder);
    // The letters of all runs are kept.
    expect(new Set(files.map((file) => file.replace(/\.\d+\./, ".")))).toEqual(
      new Set(["letters.ndjson", "secret.checkpoint.json"]),
    );
    for (const file of files) expectNoSecret(file, readFileSync(join(folder, file), "utf8"));
    const letters = files.filter((file) => file.startsWith("letters."));
    expect(letters.some((file) => readFileSync(join(folder, file), "utf8").includes("[redacted]"))).toBe(true);
  });

  it("nor one of the store for dead letters", async () => {
    const { manager } = watched();
    const box = new ScriptedStarter(
      "box",
      () =>
        new ScriptedStore([], {
          write: () => {
            throw new P2PError("WRITE_FAILED", `box says planted-b0x`, { cause: new Error("planted-b0x") });
          },
        }),
    );
    manager.registerService("box", box);
    const { connectionId } = await manager.establish(SOURCE, TARGET);
    const error: unknown = await manager
      .transferThroughConnection(connectionId, {}, { deadLetters: { endpoint: "box://u:planted-b0x@h" } })
      .catch((thrown: unknown) => thrown);
    expect(isP2PError(error)).toBe(true);
    expect(seen(error)).not.toContain("b0x");
    await manager.close();
  });

  it("nor in a lock, nor in an error of a sink", async () => {
    const { manager } = watched();
    const folder = mkdtempSync(join(root, "lock-"));
    const { connectionId } = await manager.establish(SOURCE, TARGET);
    let lock = "";
    await manager.transferThroughConnection(
      connectionId,
      {},
      {
        transferId: "t",
        checkpoint: folder,
        deadLetters: false,
        transform: (record) => {
          lock = readdirSync(folder)
            .filter((name) => name.includes("lock"))
            .map((name) => readFileSync(join(folder, name), "utf8"))
            .join();
          return record;
        },
      },
    );
    expect(lock).toContain(String(process.pid));
    expectNoSecret("the lock", lock);
    const sink = new FileDeadLetterSink(join(folder, "x"));
    sink.write = () => {
      throw new Error(`cannot write ${PASSWORD}`);
    };
    const error: unknown = await manager
      .transferThroughConnection(connectionId, {}, { deadLetters: sink })
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(P2PError);
    expectNoSecret("the error", error);
    await manager.close();
  });
});

describe("events", () => {
  it("are typed", () => {
    const { events } = new DefaultP2PConnectionManager();
    events.on("progress", ({ progress }) => expectTypeOf(progress).toEqualTypeOf<TransferProgress>());
    events.on("transferCompleted", ({ result }) => expectTypeOf(result).toEqualTypeOf<TransferResult>());
    events.on("transferFailed", ({ error }) => expectTypeOf(error).toEqualTypeOf<P2PError>());
    expectTypeOf<keyof P2PManagerEvents>().toEqualTypeOf<
      | "statusChanged"
      | "transferStarted"
      | "progress"
      | "transferCompleted"
      | "transferFailed"
      | "reconnected"
      | "closed"
    >();
  });

  it("tell of a connection from its beginning to its end, in order", async () => {
    const { manager, script, events } = watched();
    const connection = await manager.establish("from:a", "to:b", { auto_reconnect: true, reconnect_timeout: 0 });
    await manager.transferThroughConnection(connection.connectionId, { limit: 1 }, { deadLetters: false });
    script.write = () => {
      throw lost();
    };
    await manager.transferThroughConnection(connection.connectionId, {}, { deadLetters: false }).catch(() => {});
    script.write = () => {};
    await manager.transferThroughConnection(connection.connectionId, { limit: 1 }, { deadLetters: false });
    await manager.close();
    const told = events
      .filter(([name]) => name !== "progress")
      .map(([name, event]) => {
        const { from, to, error, result } = event as {
          from?: string;
          to?: string;
          error?: P2PError;
          result?: TransferResult;
        };
        return [name, from && `${from} ${to}`, error?.code, result?.successCount]
          .filter((part) => part !== undefined)
          .join(" ");
      });
    expect(told).toEqual([
      "statusChanged CONNECTING ESTABLISHED",
      "transferStarted",
      "statusChanged ESTABLISHED TRANSFERRING",
      "statusChanged TRANSFERRING IDLE",
      "transferCompleted 1",
      "transferStarted",
      "statusChanged IDLE TRANSFERRING",
      "statusChanged TRANSFERRING ERROR",
      "transferFailed CONNECTION_LOST 0",
      "transferStarted",
      "statusChanged ERROR CONNECTING",
      "statusChanged CONNECTING ESTABLISHED",
      "reconnected",
      "statusChanged ESTABLISHED TRANSFERRING",
      "statusChanged TRANSFERRING IDLE",
      "transferCompleted 1",
      "statusChanged IDLE CLOSED",
      "closed",
    ]);
    expect(events.filter(([name]) => name === "progress").length).toBeGreaterThanOrEqual(2);
    for (const [, event] of events) expect((event as { connection: unknown }).connection).toBe(connection);
  });

  it("of progress come beside the caller's own", async () => {
    const { manager, events } = watched();
    const { connectionId } = await manager.establish(SOURCE, TARGET);
    let own = 0;
    await manager.transferThroughConnection(connectionId, {}, { deadLetters: false, onProgress: () => own++ });
    expect(own).toBe(events.filter(([name]) => name === "progress").length);
    await manager.close();
  });
});
