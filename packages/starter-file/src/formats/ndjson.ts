/** NDJSON: a codec of one record a line, in JSON with the tags of dead letters. */
import { P2PError } from "@omni/p2p-core/starter";
import { jsonValueTypes } from "../types.ts";
import type { Format } from "./format.ts";

export const ndjson: Format = {
  name: "ndjson",
  endings: ["ndjson", "jsonl"],
  valueTypes: jsonValueTypes,
  // biome-ignore lint/correctness/useYield: it is being written
  async *read({ label }) {
    throw new P2PError("UNSUPPORTED_OPERATION", `${label} cannot be read yet`);
  },
};
