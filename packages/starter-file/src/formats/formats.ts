/** The registry of formats, by name and by what file names end in. */

import { csv, tsv } from "./csv.ts";
import type { Format } from "./format.ts";
import { ndjson } from "./ndjson.ts";
import { parquet } from "./parquet.ts";

/** Every format; one more is a line here, and its name among the values of the option `format`. */
export const FORMATS: readonly Format[] = [ndjson, csv, tsv, parquet];
