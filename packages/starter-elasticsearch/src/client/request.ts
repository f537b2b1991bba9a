/** A request as the server sees it. */
export interface LinkRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE" | "HEAD";
  /** Begins with a slash; names in it are escaped already. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** JSON, or lines of JSON for the bulk API. */
  readonly body?: string | Buffer;
  readonly lines?: boolean;
  /** Statuses that are an answer like any other. */
  readonly accept?: readonly number[];
  /**
   * False for what must not reach the server twice. Other requests are sent once more when their connection turns out
   * to be dead, as kept ones are after a restart, and go to the other nodes when there are several. Default true.
   */
  readonly repeatable?: boolean;
}
