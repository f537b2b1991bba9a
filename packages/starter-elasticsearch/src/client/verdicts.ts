import {
  type Activity,
  FAILED,
  type Verdict as KitVerdict,
  type P2PErrorCode,
  verdictByText,
} from "@omni/p2p-core/starter";

/** What a server said about why it refused something. */
export interface ServerReason {
  readonly type: string;
  readonly reason: string;
}

/** The answer of a server that refused a request. */
export interface Refusal {
  readonly status: number;
  /** Absent when the answer does not look like one of Elasticsearch. */
  readonly cause: ServerReason | undefined;
  readonly retryAfterMs: number | undefined;
  /** Whether the answer carries Elasticsearch's own product header. */
  readonly genuine: boolean;
}

/** What is being done, for the errors that mean different things at different times. */
export type Phase = Activity;

/** What a refusal comes to. */
export interface Verdict extends KitVerdict {
  readonly code: P2PErrorCode;
}

const BUSY: Verdict = {
  code: "BUSY",
  retryable: true,
  advice: "it is overloaded; try again later, with smaller batches or fewer at a time",
};
const NOT_READY: Verdict = {
  code: "BUSY",
  retryable: true,
  advice: "a part of the cluster is not available; see GET _cluster/health",
};
const LATE: Verdict = {
  code: "TIMEOUT",
  retryable: true,
  advice: "the cluster took too long; try again, or look at its load",
};
/** A value does not fit the mapping. */
export const TYPE_MISMATCH: Verdict = {
  code: "TYPE_MISMATCH",
  advice: "change the value with a transform, or the index's mapping",
};
const UNKNOWN_VERSION: Verdict = {
  code: "CONNECTION_FAILED",
  advice:
    "the server does not speak the API of Elasticsearch 8; versions 8 and 9 are supported, and OpenSearch from 3.3 on",
};
const CLOSED: Verdict = { code: "TARGET_NOT_WRITABLE", advice: "the index is closed; open it with POST <index>/_open" };

/** What the server's own names of errors mean. */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  es_rejected_execution_exception: BUSY,
  rejected_execution_exception: BUSY,
  circuit_breaking_exception: BUSY,
  too_many_requests_exception: BUSY,
  unavailable_shards_exception: NOT_READY,
  no_shard_available_action_exception: NOT_READY,
  no_node_available_exception: NOT_READY,
  master_not_discovered_exception: NOT_READY,
  cluster_manager_not_discovered_exception: NOT_READY,
  node_not_connected_exception: NOT_READY,
  node_closed_exception: NOT_READY,
  node_disconnected_exception: NOT_READY,
  not_master_exception: NOT_READY,
  shard_not_found_exception: NOT_READY,
  primary_missing_action_exception: NOT_READY,
  process_cluster_event_timeout_exception: LATE,
  timeout_exception: LATE,
  receive_timeout_transport_exception: LATE,
  elasticsearch_timeout_exception: LATE,
  document_parsing_exception: TYPE_MISMATCH,
  mapper_parsing_exception: TYPE_MISMATCH,
  strict_dynamic_mapping_exception: TYPE_MISMATCH,
  routing_missing_exception: {
    code: "WRITE_FAILED",
    advice: "the index wants a routing value with each document, which records do not have; write to another index",
  },
  parsing_exception: { code: "INVALID_QUERY", advice: "correct the query" },
  query_shard_exception: { code: "INVALID_QUERY", advice: "correct the query" },
  index_closed_exception: CLOSED,
  invalid_index_name_exception: { code: "INVALID_ENDPOINT", advice: "give the index another name" },
  security_exception: {
    code: "AUTHENTICATION_FAILED",
    advice: "check the credentials, and the privileges of their role",
  },
  media_type_header_exception: UNKNOWN_VERSION,
};

/** Limits of an index, which are told as a document that could not be parsed or as an illegal argument. */
const LIMITS: readonly (readonly [RegExp, Verdict])[] = [
  [
    /Limit of total fields/,
    {
      code: "WRITE_FAILED",
      advice:
        "the index has no room for another field; raise index.mapping.total_fields.limit, or leave fields out with a transform",
    },
  ],
  [
    /Limit of mapping depth/,
    { code: "WRITE_FAILED", advice: "raise index.mapping.depth.limit, or flatten the record with a transform" },
  ],
  [
    /number of nested documents/i,
    {
      code: "RECORD_TOO_LARGE",
      advice: "raise index.mapping.nested_objects.limit, or make several records of it with a transform",
    },
  ],
  [
    /Limit of field name length/,
    {
      code: "WRITE_FAILED",
      advice: "raise index.mapping.field_name_length.limit, or rename the field with a transform",
    },
  ],
  [
    /immense term/,
    { code: "TYPE_MISMATCH", advice: "shorten the text with a transform, or give the field ignore_above" },
  ],
];

/** What else the server calls no more than an illegal argument. */
const ILLEGAL_ARGUMENTS: readonly (readonly [RegExp, Verdict])[] = [
  ...LIMITS,
  [
    /pipeline with id .* does not exist/,
    {
      code: "TARGET_NOT_WRITABLE",
      advice: "correct the option pipeline or the index's setting of it, or make the pipeline",
    },
  ],
  [
    /no write index is defined for alias/,
    { code: "TARGET_NOT_WRITABLE", advice: "mark one index of the alias with is_write_index, or name an index" },
  ],
  [
    /op_type of create are allowed in data streams/,
    {
      code: "TARGET_NOT_WRITABLE",
      advice: 'a data stream takes new documents alone; write with mode "insert" or "skip"',
    },
  ],
  [
    /routing/i,
    { code: "WRITE_FAILED", advice: "the index wants routing that records do not have; write to another index" },
  ],
  [/mapper|mapping|parse|out of range|\bvector|timestamp/i, TYPE_MISMATCH],
];

function verdictOfIllegalArgument(reason: string): Verdict {
  return (
    verdictByText(ILLEGAL_ARGUMENTS, reason) ?? {
      code: "WRITE_FAILED",
      advice: "the server's reason says what it does not take",
    }
  );
}

/** What HTTP statuses mean where the name of the error does not say more. */
function verdictOfStatus(status: number): Verdict | undefined {
  if (status === 401) return { code: "AUTHENTICATION_FAILED", advice: "check username and password, apiKey or bearer" };
  if (status === 403) return { code: "AUTHENTICATION_FAILED", advice: "the credentials lack a privilege for this" };
  if (status === 406) return UNKNOWN_VERSION;
  if (status === 413)
    return { code: "RECORD_TOO_LARGE", advice: "lower maxBulkBytes, or raise the server's http.max_content_length" };
  if (status === 429) return BUSY;
  if (status === 408 || status === 504) return LATE;
  if (status === 502 || status === 503) return NOT_READY;
  return undefined;
}

/** A block on an index is told apart by the number in its text. */
function verdictOfBlock(reason: string): Verdict {
  if (/\/12\/|flood-stage|TOO_MANY_REQUESTS/.test(reason)) {
    return {
      code: "STORAGE_FULL",
      retryable: true,
      advice: "make room on the cluster's disks; it then lifts the block itself",
    };
  }
  if (/SERVICE_UNAVAILABLE/.test(reason)) return NOT_READY;
  return { code: "TARGET_NOT_WRITABLE", advice: "lift the block in the index's settings" };
}

/** What a refusal comes to, at a time when this is being done. */
export function verdictOf({ status, cause, genuine }: Refusal, phase: Phase): Verdict {
  if (cause?.type === "cluster_block_exception") return verdictOfBlock(cause.reason);
  if (cause?.type === "index_closed_exception" && phase !== "write") return { ...CLOSED, code: "SOURCE_NOT_FOUND" };
  const missing = cause?.type === "index_not_found_exception";
  if (missing && phase !== "write") {
    return { code: "SOURCE_NOT_FOUND", advice: "check the name; an index is made by the first write to it" };
  }
  const illegal = cause?.type === "illegal_argument_exception";
  if (illegal && phase === "write") return verdictOfIllegalArgument(cause.reason);
  // A clause within another one that the server cannot parse is told as the fault of the outer one.
  if (phase !== "write" && (illegal || cause?.type === "x_content_parse_exception")) {
    return { code: "INVALID_QUERY", advice: "correct the query" };
  }
  const named = cause && VERDICTS[cause.type];
  const known =
    (named === TYPE_MISMATCH ? (verdictByText(LIMITS, cause!.reason) ?? named) : named) ?? verdictOfStatus(status);
  if (known) return known;
  if (!genuine) {
    return {
      code: "CONNECTION_FAILED",
      advice: "what answers there is not Elasticsearch 8 or 9, nor OpenSearch; check host, port and protocol",
    };
  }
  return { code: FAILED[phase], retryable: status >= 500, advice: "see the server's log" };
}
