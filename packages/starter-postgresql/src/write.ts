/** The way in for writing a table: batches and deletes, several at a time. */
import type {
  DeleteOptions,
  DeleteRef,
  DeleteResult,
  P2PRecord,
  WriteOptions,
  WriteResult,
} from "@omni/p2p-core/starter";
import type { PostgresqlStore } from "./client/store.ts";
import { deleteRecords } from "./writing/delete.ts";
import { TableWriter } from "./writing/table-writer.ts";

/** Writes to the table of a store, and deletes from it. */
export class TargetWriter {
  readonly #store: PostgresqlStore;
  readonly #writer: TableWriter;

  constructor(store: PostgresqlStore) {
    this.#store = store;
    this.#writer = new TableWriter(store);
  }

  /** Writes the records as the mode says. */
  write(records: readonly P2PRecord[], options: WriteOptions): Promise<WriteResult> {
    return this.#writer.write(records, options);
  }

  /** Deletes records by id. */
  delete(refs: readonly DeleteRef[], options: DeleteOptions): Promise<DeleteResult> {
    return deleteRecords(this.#store, refs, options);
  }
}
