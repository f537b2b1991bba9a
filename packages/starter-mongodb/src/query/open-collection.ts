import type { BSON, Timestamp } from "mongodb";
import type { CollectionHandle } from "../client/collections.ts";
import type { RecordDecoder } from "../values/decode.ts";
import type { RecordEncoder } from "../values/encode.ts";

/** An open collection and what is needed to talk to it. */
export interface OpenCollection extends CollectionHandle {
  readonly encoder: RecordEncoder;
  readonly decoder: RecordDecoder;
  /** The driver's own way to BSON and back. */
  readonly bson: typeof BSON;
  /** Whether the collection compares text by the rules of a language. */
  readonly collated: boolean;
  /** The paths of the shard key but for `_id`; none where the collection is not sharded, or that is not known. */
  readonly shardKey: readonly string[];
  /** Whether the server knows sessions. */
  readonly sessions: boolean;
  /** Whether documents can be deleted: not those of a view or a time series. */
  readonly deletable: boolean;
  /** Look-ups must see what was committed at this time of the cluster, since somebody follows. Default: whatever they see. */
  readonly readAfter?: Timestamp;
  /** Largest document that the server takes, in bytes. */
  readonly maxDocumentBytes: number;
}
