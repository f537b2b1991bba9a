/** The registry of formats, by name and by what file names end in. */
import { basename } from "node:path";
import { P2PError } from "@omni/p2p-core/starter";
import { compressionOfName } from "../client/compression.ts";
import type { FileEndpoint } from "../endpoint.ts";
import { csv, tsv } from "./csv.ts";
import type { Format } from "./format.ts";
import { json } from "./json.ts";
import { ndjson } from "./ndjson.ts";
import { parquet } from "./parquet.ts";

/** Every format; one more is a line here, and its name among the values of the option `format`. */
const FORMATS: readonly Format[] = [ndjson, json, csv, tsv, parquet];

/**
 * The format of an endpoint: that of its option, else what its name ends in, or those of its files.
 *
 * @throws P2PError `INVALID_ENDPOINT`
 */
export function formatOf({ path, label, options }: FileEndpoint, files: readonly string[] = []): Format {
  const names = FORMATS.map(({ name }) => name).join(", ");
  if (options.format !== undefined) return FORMATS.find(({ name }) => name === options.format)!;
  const invalid = (why: string) =>
    new P2PError("INVALID_ENDPOINT", `Invalid endpoint ${label}: ${why}; say which by ?format= (${names})`);
  if (path === "-") throw invalid("a pipe has no name that tells its format");
  const own = formatByName(path);
  if (own) return own;
  const found = new Set(files.map(formatByName));
  if (found.size > 1) throw invalid("its files are of several formats");
  const [only] = found;
  if (only) return only;
  throw invalid(
    `the name does not end in what tells its format (${FORMATS.flatMap(({ endings }) => endings.map((ending) => `.${ending}`)).join(", ")})`,
  );
}

/** The format that the name of a file tells. */
export function formatByName(path: string): Format | undefined {
  const name = basename(compressionOfName(path).bare).toLowerCase();
  return FORMATS.find(({ endings }) => endings.some((ending) => name.endsWith(`.${ending}`)));
}
