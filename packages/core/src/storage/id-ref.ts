/** A reference to a record by its id. */
import type { JsonValue } from "../model/json-value.ts";
import type { P2PId } from "../model/record.ts";

/** The id of a record, with what its store needs besides to reach it. */
export interface IdRef {
  readonly id: P2PId;
  /**
   * Where the record lies, as its own store told (`RecordBatch.locators`, a look-up, a feed of changes): MongoDB's shard key,
   * the index and the routing of Elasticsearch. Plain JSON; only that store knows what it means. Optional: a store then
   * looks everywhere where a record of this id could be.
   */
  readonly locator?: JsonValue;
}
