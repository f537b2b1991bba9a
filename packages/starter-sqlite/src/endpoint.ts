import { resolve } from "node:path";
import {
  type EndpointInfo,
  endpointLabel,
  type OptionSpecs,
  type OptionsOf,
  P2PError,
  parseOptions,
} from "@omni/p2p-core/starter";

/** The options of a `sqlite:` endpoint. */
export const sqliteOptions = {
  table: {
    type: "string",
    description:
      "The table, or the view, to read or write. Default: of a source the only table it has, of a target the name of its source's table, else `records`.",
  },
  key: {
    type: "string",
    description:
      "The column that names a row, or several with commas between, where it is not the primary key. They must be unique.",
  },
  create: {
    type: "string",
    values: ["ifMissing", "never"],
    default: "ifMissing",
    description: "Whether a missing table of a target is created when the first records come.",
  },
  unknownFields: {
    type: "string",
    values: ["fail", "add", "ignore"],
    default: "fail",
    description:
      "What a field becomes for which a table that this starter did not create has no column: the record fails, a column is added, or the field is left out.",
  },
  journalMode: {
    type: "string",
    values: ["wal", "delete", "keep"],
    default: "wal",
    description: "The journal mode a target is set to when it is first written; `keep` leaves it as it is.",
  },
  thread: {
    type: "string",
    values: ["auto", "always", "never"],
    default: "auto",
    description:
      "Whether a target is written by a thread of its own: `auto` begins one when the process has its hands full with reading and writing both, and the machine has a second core.",
  },
  foreignKeys: {
    type: "string",
    values: ["on", "deferred", "off"],
    default: "on",
    description:
      "When a target checks foreign keys: at each record, at the end of each batch, or not at all, for tables that are copied in any order.",
  },
  isolate: {
    type: "string",
    values: ["auto", "always", "never"],
    default: "auto",
    description:
      "What is read in a process of its own, which can be killed: `auto` reads views, virtual tables and native queries there, which may never end, and counts files of more than 256 MB.",
  },
  journalLimit: {
    type: "number",
    default: 1_000_000,
    min: 10,
    max: 1_000_000_000,
    description:
      "How many changes the journal of a followed table keeps at most, told or not; `changes enable` writes it into the file.",
  },
  synchronous: {
    type: "string",
    values: ["off", "normal", "full"],
    default: "normal",
    description: "How a target is synced to disk. `full` survives a power cut to the last batch; `off` is for scratch.",
  },
} as const satisfies OptionSpecs;

/** The options as they hold for one endpoint, defaults filled in. */
type SqliteOptions = OptionsOf<typeof sqliteOptions>;

/** A `sqlite:` endpoint, checked. */
export interface SqliteEndpoint {
  /** Absolute. */
  readonly file: string;
  /** How messages call it. */
  readonly label: string;
  readonly options: SqliteOptions;
}

/**
 * Checks an endpoint and spells it out.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function parseSqliteEndpoint(endpoint: EndpointInfo): SqliteEndpoint {
  const options = parseOptions(sqliteOptions, endpoint);
  const label = endpointLabel(endpoint);
  const invalid = (what: string) => new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${what}`);
  const { database, host } = endpoint;
  if (host !== undefined) {
    throw invalid('SQLite is a file, not a server; write "sqlite:./data.db" or "sqlite:/folder/data.db", without //');
  }
  if (database === undefined || database.trim() === "") {
    throw invalid('the path of the file is missing; write "sqlite:./data.db?table=docs"');
  }
  if (database.trim() === ":memory:") {
    throw invalid(
      'a database in memory is seen by nobody else; use @omni/p2p-starter-memory ("memory:scratch") instead',
    );
  }
  if (database.startsWith("file:")) throw invalid('give a path ("sqlite:./data.db"), not a file: URI');
  if (database.includes("\0")) throw invalid("its path holds a NUL character");
  // The driver trims the names of files, and would open another one.
  if (database !== database.trimEnd()) throw invalid("its path ends with white space");
  for (const name of ["table", "key"] as const) {
    const value = options[name];
    if (value !== undefined && (value === "" || value.includes("\0"))) {
      throw invalid(`option "${name}" must be a name, not ${value === "" ? "an empty text" : "a text with NUL"}`);
    }
  }
  return { file: resolve(database), label, options };
}
