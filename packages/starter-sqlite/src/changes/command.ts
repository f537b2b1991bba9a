import type { SqliteEndpoint } from "../endpoint.ts";

/** The command that turns the changes of an endpoint on, as it can be pasted. */
export function enableCommand({ file, options }: SqliteEndpoint, table: string): string {
  const key = options.key === undefined ? "" : `&key=${encodeURIComponent(options.key)}`;
  const url = `sqlite:${encodeURI(file).replaceAll(/[?#]/g, encodeURIComponent)}?table=${encodeURIComponent(table)}${key}`;
  return `omni-p2p changes enable '${url.replaceAll("'", "%27")}'`;
}
