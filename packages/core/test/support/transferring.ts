import { afterAll, beforeAll, expect } from "vitest";
import type { Checkpoint } from "../../src/engine.ts";
import {
  type DeadLetter,
  type DeadLetterSink,
  DefaultP2PTransferBridge,
  type EndpointInfo,
  MemoryCheckpointStore,
  type P2PQuery,
  P2PTransferError,
  type TransferOptions,
  type TransferResult,
} from "../../src/index.ts";
import type { JsonValue } from "../../src/starter.ts";
import type { ScriptedStore } from "./scripted-store.ts";

const SOURCE: EndpointInfo = { endpointId: "from", storageType: "scripted", database: "from" };
const TARGET: EndpointInfo = { endpointId: "to", storageType: "scripted", database: "to" };

/** What a test may say beside the options of a transfer. */
export interface Setting {
  readonly query?: P2PQuery;
  readonly sourceEndpoint?: EndpointInfo;
  readonly targetEndpoint?: EndpointInfo;
}

/** A transfer by the default bridge; retries wait for a moment only, and no file is written. */
export function transfer(
  source: ScriptedStore,
  target: ScriptedStore,
  options: TransferOptions = {},
  { query = {}, sourceEndpoint = SOURCE, targetEndpoint = TARGET }: Setting = {},
): Promise<TransferResult> {
  return new DefaultP2PTransferBridge().transfer(
    { service: source, endpoint: sourceEndpoint },
    { service: target, endpoint: targetEndpoint },
    query,
    { retryDelay: 1, maxRetryDelay: 2, deadLetters: new LetterBox(), ...options },
  );
}

/** The error that ends a transfer. */
export async function ending(run: Promise<TransferResult>): Promise<P2PTransferError> {
  const thrown: unknown = await run.then(
    (result) => {
      throw new Error(`it ended well: ${JSON.stringify(result)}`);
    },
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(P2PTransferError);
  return thrown as P2PTransferError;
}

/** Keeps dead letters in memory, cut back as the contract of a sink says. */
export class LetterBox implements DeadLetterSink {
  readonly location = "a box";
  readonly letters: DeadLetter[] = [];
  opened = 0;
  closed = 0;

  async open(position: JsonValue): Promise<void> {
    this.opened++;
    this.letters.length = typeof position === "number" ? position : 0;
  }

  async write(letters: readonly DeadLetter[]): Promise<JsonValue> {
    this.letters.push(...letters);
    return this.letters.length;
  }

  async close(): Promise<void> {
    this.closed++;
  }
}

/** Remembers every checkpoint that was saved. */
export class CheckpointLog extends MemoryCheckpointStore {
  readonly saved: Checkpoint[] = [];
  readonly #onSave: (checkpoint: Checkpoint) => unknown;

  constructor(onSave: (checkpoint: Checkpoint) => unknown = () => {}) {
    super();
    this.#onSave = onSave;
  }

  override async save(checkpoint: Checkpoint): Promise<void> {
    await this.#onSave(checkpoint);
    this.saved.push(structuredClone(checkpoint));
    await super.save(checkpoint);
  }
}

/** Makes sure that no promise of this test file was rejected unheard. */
export function expectNoUnhandledRejections(): void {
  const unheard: unknown[] = [];
  const listen = (reason: unknown) => unheard.push(reason);
  beforeAll(() => {
    process.on("unhandledRejection", listen);
  });
  afterAll(async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", listen);
    expect(unheard).toEqual([]);
  });
}
