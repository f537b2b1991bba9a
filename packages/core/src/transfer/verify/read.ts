import { Yielder } from "../../async/yielder.ts";
import type { P2PError } from "../../errors.ts";
import { isP2PError } from "../../errors.ts";
import type { JsonValue } from "../../model/json-value.ts";
import type { P2PRecord } from "../../model/record.ts";
import type { P2PQuery } from "../../storage/query.ts";
import type { P2PDataTransferService, RecordBatch } from "../../storage/service.ts";
import type { FieldWatch } from "../field-watch.ts";
import { readAhead } from "../read-ahead.ts";
import { RetryBudget, type RetryPolicy } from "../retry.ts";
import { idText, siftBatch, type Transform, type TransformWindow } from "../transform.ts";

/** A record of a side that cannot be compared. */
export interface Unread {
  /** Its id as text, as far as it is known. */
  readonly id: string;
  readonly error: P2PError;
  /** It was read, with this very id, and the transform failed on it. */
  readonly wasRead?: true;
}

/** What a side gives at a time. */
export interface SideBatch {
  readonly records: readonly P2PRecord[];
  readonly unread: readonly Unread[];
  /** Points after what was read. */
  readonly cursor: JsonValue;
  /** The size of the records, roughly, where it is known without further work. */
  readonly bytes?: number | undefined;
}

/** One side of a comparison, and how to read it. */
export interface Side {
  readonly service: P2PDataTransferService;
  readonly query: P2PQuery;
  readonly transform?: Transform | undefined;
  /** Where the transform's calls run. */
  readonly window?: TransformWindow;
  readonly batchSize: number;
  readonly retry: RetryPolicy;
  readonly signal: AbortSignal;
  /** Where to go on, of a query without limit and offset. Default: at the beginning. */
  readonly after?: JsonValue;
  /** Looks at what is read, before the transform. */
  readonly fields?: FieldWatch;
  /** Whether what does not exist holds no records, rather than being an error. */
  readonly mayBeAbsent: boolean;
  /** Told when it does not exist. */
  readonly onAbsent?: () => void;
}

/** Reads a side; what cannot be read or transformed is given as such, and the rest goes on. */
export async function* readSide(side: Side): AsyncGenerator<SideBatch> {
  const { transform, window, signal } = side;
  const yielder = new Yielder();
  for await (const batch of readAhead(persistentReads(side), 1, () => true, signal)) {
    await yielder.yieldIfDue();
    const { records, failures } = await siftBatch(batch, transform, signal, window);
    yield {
      records,
      cursor: batch.cursor,
      ...(transform === undefined && { bytes: batch.bytes }),
      unread: [
        ...failures.map(({ record, error }) => ({ id: idText(record), error, wasRead: true as const })),
        ...(batch.failures ?? []).map(({ id, error }) => ({ id, error })),
      ],
    };
  }
}

/** A side that fails for the moment is read again from the last cursor. */
async function* persistentReads(side: Side): AsyncGenerator<RecordBatch> {
  const { service, query, batchSize, retry, signal } = side;
  const budget = new RetryBudget(retry);
  let { after } = side;
  let read = 0;
  for (;;) {
    try {
      const limit = query.limit === undefined ? undefined : query.limit - read;
      if (read > 0 && limit !== undefined && limit <= 0) return;
      const rest = read === 0 || limit === undefined ? query : { ...query, limit };
      for await (const batch of service.readFromSource(rest, { batchSize, after, signal })) {
        budget.succeeded();
        after = batch.cursor;
        read += batch.records.length + (batch.failures?.length ?? 0);
        side.fields?.look(batch.records, batch.failures?.length);
        yield batch;
      }
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (side.mayBeAbsent && read === 0 && isP2PError(error, "SOURCE_NOT_FOUND")) {
        side.onAbsent?.();
        return;
      }
      if (await budget.again(error, signal)) continue;
      signal.throwIfAborted();
      throw error;
    }
  }
}
