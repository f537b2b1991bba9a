/** A session: one connection to the server, which runs one statement at a time. */

/** What a cell holds, in the server's text form; `null` is SQL's NULL. */
export type Cell = string | null;

/** One row, cell by cell, in the order of the columns asked for. */
export type Row = Cell[];

/** What a statement gave. */
export interface Answer {
  readonly rows: Row[];
  /** The columns of the rows, as the server describes them. */
  readonly fields: readonly { readonly name: string; readonly typeOid: number; readonly typmod: number }[];
  /** Rows that the statement gave, wrote or deleted. */
  readonly rowCount: number;
}

/**
 * A session within a transaction. Its statements throw the driver's own errors (with `code`, the SQLSTATE): whoever holds the
 * transaction makes a `P2PError` of what is not understood there. A statement whose signal aborts is cancelled at the server.
 */
export interface Session {
  /** Runs one statement by the extended protocol. */
  query(text: string, params?: readonly Cell[]): Promise<Answer>;
  /** Runs statements without parameters, several with `;` between, in one round trip; gives the answer of each. */
  script(text: string): Promise<Answer[]>;
  /**
   * `COPY … FROM STDIN`: sends the chunks with back-pressure.
   *
   * @returns the number of rows.
   */
  copyIn(sql: string, chunks: Iterable<Buffer | string>): Promise<number>;
  /** `COPY … TO STDOUT`: chunks as they come from the socket, without regard to rows. */
  copyOut(sql: string): AsyncIterable<Buffer>;
}
