import type { BSON } from "mongodb";
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
  /** Largest document that the server takes, in bytes. */
  readonly maxDocumentBytes: number;
}
